import type { IncomingMessage, Server } from 'node:http'

/**
 * Takes the configured path off the address of every request that has it, before anybody else looks at it: so the same
 * server works behind a proxy that takes it off and behind one that leaves it on. Call it last, when all listeners are
 * there.
 */
export function takeOffBasePath(http: Server, basePath: string): void {
  if (basePath === '') return
  const takeOff = (request: IncomingMessage) => {
    request.url = withoutBasePath(request.url ?? '', basePath)
  }
  for (const event of ['request', 'upgrade', 'checkContinue', 'checkExpectation']) http.prependListener(event, takeOff)
}

/** `/lab/api/x` → `/api/x`, `/lab` → `/`; what only begins alike (`/laboratory`) stays. Pure. */
export function withoutBasePath(url: string, basePath: string): string {
  if (!url.startsWith(basePath)) return url
  const rest = url.slice(basePath.length)
  if (rest === '' || rest.startsWith('?')) return `/${rest}`
  return rest.startsWith('/') ? rest : url
}

/** Under which path browsers see us, with a slash at its end: a trusted proxy's word, else what is configured. */
export function seenBasePath(request: IncomingMessage, config: { trustProxy: boolean; basePath: string }): string {
  const prefix = config.trustProxy ? request.headers['x-forwarded-prefix'] : undefined
  const isPath = typeof prefix === 'string' && /^(?:\/[\w.-]+)+$/.test(prefix)
  return `${isPath ? prefix : config.basePath}/`
}
