import { z } from 'zod'
import { CONSOLE_KINDS, CONSOLE_MODES, SCREEN_ENGINES, WANTED_ENGINES } from './console-codes.js'

export * from './console-codes.js'

export const consoleRequestSchema = z
  .strictObject({
    kind: z.enum(CONSOLE_KINDS),
    mode: z.enum(CONSOLE_MODES).default('control'),
    /** Only a screen has a choice. */
    engine: z.enum(WANTED_ENGINES).default('auto'),
  })
  .meta({ id: 'ConsoleRequest' })
export type ConsoleRequest = z.infer<typeof consoleRequestSchema>
export type ConsoleKind = ConsoleRequest['kind']
export type ConsoleMode = ConsoleRequest['mode']
export type ScreenEngine = (typeof SCREEN_ENGINES)[number]
export type WantedEngine = (typeof WANTED_ENGINES)[number]

/** A one-use right to open one console, valid for 30 s. `url` is the WebSocket's path with the ticket. */
export const consoleTicketSchema = z
  .object({
    ticket: z.string(),
    url: z.string(),
    kind: z.enum(CONSOLE_KINDS),
    mode: z.enum(CONSOLE_MODES),
    engine: z.enum(SCREEN_ENGINES),
    /** Why it is not the engine that was wished for, in a sentence for people; null when it is. */
    notice: z.string().nullable(),
    expiresAt: z.iso.datetime(),
  })
  .meta({ id: 'ConsoleTicket' })
export type ConsoleTicket = z.infer<typeof consoleTicketSchema>

/**
 * The serial console's WebSocket: binary messages are the line's bytes in both directions; text messages are these, as
 * JSON. A viewer acknowledges what it has drawn; the hub stops sending above SERIAL_WINDOW_BYTES unacknowledged.
 */
export const serialClientMessageSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('take-control') }),
  z.strictObject({ type: z.literal('release-control') }),
  /** Total bytes drawn since this socket opened, replay included. */
  z.strictObject({ type: z.literal('ack'), bytes: z.int().nonnegative() }),
  z.strictObject({
    type: z.literal('resize'),
    columns: z.int().min(2).max(1000),
    rows: z.int().min(2).max(1000),
  }),
])
export type SerialClientMessage = z.infer<typeof serialClientMessageSchema>

/** The screen's text messages, beside the binary ones of raw RFB or between Guacamole's instructions. */
export const screenClientMessageSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('take-control') }),
  z.strictObject({ type: z.literal('release-control') }),
])
export type ScreenClientMessage = z.infer<typeof screenClientMessageSchema>

export interface Viewer {
  id: string
  login: string
  kind: ConsoleKind
  mode: ConsoleMode
  /** What brings the picture; `direct` for what is no screen. */
  engine: ScreenEngine
  /** What this viewer types reaches the guest: one at a time on the serial line, and one at a time on the screen. */
  writer: boolean
  /** The serial viewer's terminal size; null until it was said, and for screens. */
  size: { columns: number; rows: number } | null
}

/**
 * Text messages from the server, as JSON. Screen sockets get `hello`, `viewers`, `guacamole` and `node-stopped`, between
 * the binary messages of the raw RFB stream, or between Guacamole's instructions, which begin with a digit.
 */
export type SerialServerMessage =
  /**
   * First message: who this socket is. `replayBytes` binary bytes of history follow, then live output. A replay begins
   * with a terminal reset (ESC c) and holds no device queries, so that no terminal answers an old one.
   */
  | { type: 'hello'; viewerId: string; mode: ConsoleMode; replayBytes: number; recorded: boolean }
  | { type: 'viewers'; viewers: Viewer[] }
  /** The reader was too slow and lost this many bytes; the log has them. */
  | { type: 'skipped'; bytes: number }
  | { type: 'node-stopped' }
  /** It is no longer as `hello` said; `reason` in words, where it is not because somebody switched it. */
  | { type: 'recorded'; recorded: boolean; reason: string | null }
  /** To screens that are shown directly because no guacd answered: one answers again. */
  | { type: 'guacamole'; answers: boolean }

/** Keys by their QEMU qcode names (`ctrl`, `alt`, `delete`, `f1`…), pressed together. */
export const sendKeysSchema = z
  .strictObject({
    keys: z
      .array(z.string().regex(/^[a-z0-9_]{1,20}$/))
      .min(1)
      .max(6),
  })
  .meta({ id: 'SendKeys' })
export const typeTextSchema = z.strictObject({ text: z.string().min(1).max(4000) }).meta({ id: 'TypeText' })
