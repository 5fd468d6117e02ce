import type { ConsoleKind, ConsoleMode, ConsoleTicket, WantedEngine } from '@domain/console.js'

/**
 * What consoles ask of the server, handed in by the page. A failure rejects with an error that has the API's `code`,
 * and a `message` for people; a server that does not answer with code `unreachable`.
 */
export interface ConsoleApi {
  /** POST /api/nodes/:id/consoles */
  openTicket: (nodeId: string, kind: ConsoleKind, mode: ConsoleMode, engine?: WantedEngine) => Promise<ConsoleTicket>
  /** The ticket's `url` as an absolute ws: or wss: address. */
  socketUrl: (ticket: ConsoleTicket) => string
  /** POST /api/nodes/:id/keys */
  sendKeys: (nodeId: string, keys: string[]) => Promise<void>
  /** POST /api/nodes/:id/type; at most 4000 characters; resolves when they are typed. */
  typeText: (nodeId: string, text: string, signal: AbortSignal) => Promise<void>
  /** GET /api/nodes/:id/serial-log */
  serialLog: (nodeId: string, signal: AbortSignal) => Promise<string>
  /** Address of the last picture of a stopped node's screen; `version` changes when there is a new one. */
  lastScreenUrl: (nodeId: string, version: string) => string
}

/** The API's code in whatever was thrown. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

export function messageOf(error: unknown): string {
  return error instanceof Error && error.message !== '' ? error.message : 'Something in this page went wrong.'
}
