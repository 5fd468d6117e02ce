// The figures that both ends of a console agree on. Apart from the schemas, because the page's consoles need no zod.

export const CONSOLE_KINDS = ['serial', 'screen', 'ssh'] as const
export const CONSOLE_MODES = ['control', 'view'] as const
/** What brings a screen to the page. */
export const SCREEN_ENGINES = ['guacamole', 'direct'] as const
/** What a person may wish for; `auto` is Guacamole wherever a guacd answers. */
export const WANTED_ENGINES = ['auto', ...SCREEN_ENGINES] as const

/** WebSocket close codes of every console, and what the client does about each. */
export const CLOSE = {
  badTicket: 4401,
  notAllowed: 4403,
  notRunning: 4404,
  takenOver: 4409,
  /** Nothing is wrong: open it again, and hear in `hello` what has changed. */
  reopen: 4412,
  /** It has come to its own end, and its last lines say how. Opened again only when somebody asks. */
  finished: 4410,
  tooManyViewers: 4429,
  unavailable: 4502,
} as const

export const CONSOLE_PATH = '/ws/console'
export const TICKET_LIFETIME_MS = 30_000
export const MAX_VIEWERS_PER_NODE = 24
/** SSH sessions, of one node and of all together: each is a connection and some processes. */
export const MAX_SSH_PER_NODE = 8
export const MAX_SSH = 100

/** What a viewer of the serial line is shown of the past. */
export const SERIAL_REPLAY_BYTES = 256 * 1024
/** What may be sent to a viewer and not yet acknowledged. */
export const SERIAL_WINDOW_BYTES = 1024 * 1024
