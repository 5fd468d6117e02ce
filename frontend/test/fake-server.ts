export interface Call {
  method: string
  /** Path and query below `/api/`. */
  path: string
  body: unknown
  headers: Record<string, string>
}

type Answer = { status?: number; json?: unknown; text?: string }
export type Handler = (call: Call) => Answer | Promise<Answer>

/** Stands where the network is: answers `GET nodes` and the like, and keeps what was asked. */
export interface FakeServer {
  calls: Call[]
  on(route: string, handler: Handler): void
  /** Every call is refused as by a dead network. */
  down: boolean
}

/** Replaces `fetch`. A route is a method and a path; `:id` stands for one part of it. Unknown routes answer 404. */
export function fakeServer(routes: Record<string, Handler> = {}): FakeServer {
  const handlers = new Map(Object.entries(routes))
  const server: FakeServer = {
    calls: [],
    down: false,
    on: (route, handler) => void handlers.set(route, handler),
  }
  globalThis.fetch = async (input, init) => {
    if (server.down) throw new TypeError('Failed to fetch')
    const url = new URL(input as string) // the client names addresses by text
    const call: Call = {
      method: init?.method ?? 'GET',
      path: url.pathname.replace(/^.*?\/api\//, '') + url.search,
      body: typeof init?.body === 'string' ? (JSON.parse(init.body) as unknown) : undefined,
      headers: { ...(init?.headers as Record<string, string> | undefined) },
    }
    server.calls.push(call)
    const handler = findHandler(handlers, call)
    return respond(handler ? await handler(call) : refusal(404, 'not_found', `There is nothing at ${call.path}.`))
  }
  return server
}

export function refusal(status: number, code: string, message: string, hint?: string): Answer {
  return { status, json: { error: { code, message, ...(hint ? { hint } : {}), requestId: 'request-1' } } }
}

function findHandler(handlers: Map<string, Handler>, call: Call): Handler | undefined {
  const asked = `${call.method} ${call.path.split('?')[0]}`
  for (const [route, handler] of handlers) {
    if (new RegExp(`^${route.replaceAll(/:\w+/g, '[^/]+')}$`).test(asked)) return handler
  }
  return undefined
}

function respond({ status = 200, json, text }: Answer): Response {
  const content = text ?? JSON.stringify(json)
  // The parts of a Response that the client reads; jsdom has none of its own.
  return {
    ok: status < 400,
    status,
    json: async () => JSON.parse(content) as unknown,
    text: async () => content,
  } as Response
}
