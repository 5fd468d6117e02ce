import { z } from 'zod'

/** Where guacd finds one node's screen. */
export interface ScreenForGuacd {
  /** Path of a unix socket; guacd takes it as a host name. */
  path: string
  readOnly: boolean
  /** What it shows is wanted back, as `shown`. */
  recorded: boolean
}

/**
 * What the backend tells the gateway process. An `open` comes with the viewer's TCP connection, whose upgrade was allowed
 * and not yet answered. `screen` is null for one that is only to be told why it is closed.
 */
export type ToGateway =
  | {
      type: 'open'
      id: string
      request: { url: string; headers: Record<string, string> }
      /** What was read of the connection after the request, base64. */
      head: string
      screen: ScreenForGuacd | null
    }
  /** A text message for the viewer: ours, not Guacamole's. */
  | { type: 'tell'; id: string; text: string }
  | { type: 'close'; id: string; code: number; reason: string }
  | { type: 'ping' }

/** What the gateway process tells the backend. */
export const fromGatewaySchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('ready') }),
  z.object({ type: z.literal('pong') }),
  /** A text message of the viewer that is not Guacamole's. */
  z.object({ type: z.literal('text'), id: z.string(), text: z.string() }),
  /** guacd has ended it, or could not be reached; the viewer is still there and can be told why. */
  z.object({ type: z.literal('ended'), id: z.string(), reason: z.string() }),
  /** What a recorded screen showed: whole instructions, in order. All of it comes before `closed`. */
  z.object({ type: z.literal('shown'), id: z.string(), instructions: z.string() }),
  /** The viewer's connection is gone. */
  z.object({ type: z.literal('closed'), id: z.string() }),
  z.object({ type: z.literal('log'), message: z.string() }),
])
export type FromGateway = z.infer<typeof fromGatewaySchema>
