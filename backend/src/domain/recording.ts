import { z } from 'zod'
import { CONSOLE_KINDS } from './console-codes.js'
import { nodeIdSchema, userIdSchema } from './ids.js'

export const recordingIdSchema = z.uuid().brand<'RecordingId'>()
export type RecordingId = z.infer<typeof recordingIdSchema>

/** Why a recording stopped before its console did. */
export const RECORDING_CUTS = ['too-large', 'no-space', 'failed'] as const
export type RecordingCut = (typeof RECORDING_CUTS)[number]

export const CUT_WORDS: Record<RecordingCut, string> = {
  'too-large': 'the recording has reached its largest size',
  'no-space': 'there is no room for recordings on the server',
  failed: 'the recording could not be written',
}

/** What consoles of a node have shown from one moment to another. Never what people typed. */
export const recordingSchema = z
  .object({
    id: recordingIdSchema,
    nodeId: nodeIdSchema,
    /** As it was called then, and whose it was. */
    nodeName: z.string(),
    ownerId: userIdSchema,
    kind: z.enum(CONSOLE_KINDS),
    startedAt: z.iso.datetime(),
    /** Null while it goes on. */
    endedAt: z.iso.datetime().nullable(),
    /** Of the file. */
    sizeBytes: z.int().nonnegative(),
    /** Null: all of it is there. */
    cut: z.enum(RECORDING_CUTS).nullable(),
    /** Whose consoles it shows, the first 50. */
    people: z.array(z.object({ login: z.string(), mode: z.enum(['control', 'view']), at: z.iso.datetime() })),
  })
  .meta({ id: 'Recording' })
export type Recording = z.infer<typeof recordingSchema>

export const recordingsAnswerSchema = z.object({ recordings: z.array(recordingSchema) })

/** Text is asciicast v2, what `asciinema play` takes; a screen is what Guacamole's own player takes. */
export const recordingFormat = (kind: Recording['kind']): 'cast' | 'guac' => (kind === 'screen' ? 'guac' : 'cast')
