import { z } from 'zod'

/** What QEMU says over QMP (docs/interop/qmp-spec.rst), as far as we listen. Unknown fields are dropped. */
export const qmpGreetingSchema = z.object({
  QMP: z.object({
    version: z.object({
      qemu: z.object({ major: z.int(), minor: z.int(), micro: z.int() }),
      package: z.string().optional(),
    }),
  }),
})
export type QmpVersion = z.infer<typeof qmpGreetingSchema>['QMP']['version']['qemu']

export const qmpEventSchema = z.object({
  event: z.string(),
  data: z.record(z.string(), z.unknown()).default({}),
  timestamp: z.object({ seconds: z.number(), microseconds: z.number() }).optional(),
})
export type QmpEvent = z.infer<typeof qmpEventSchema>

const qmpAnswerSchema = z.union([
  z.object({ return: z.unknown(), id: z.int().optional() }),
  z.object({ error: z.object({ class: z.string(), desc: z.string() }), id: z.int().optional() }),
])
export type QmpAnswer = z.infer<typeof qmpAnswerSchema>

export type QmpMessage =
  | { kind: 'greeting'; version: QmpVersion }
  | { kind: 'event'; event: QmpEvent }
  | { kind: 'answer'; answer: QmpAnswer }

/** One line of QMP. Undefined when it is not QMP: then the other side is not QEMU, or the stream is out of step. */
export function parseQmpLine(line: string): QmpMessage | undefined {
  const json = parseJson(line)
  const event = qmpEventSchema.safeParse(json)
  if (event.success) return { kind: 'event', event: event.data }
  const greeting = qmpGreetingSchema.safeParse(json)
  if (greeting.success) return { kind: 'greeting', version: greeting.data.QMP.version.qemu }
  const answer = qmpAnswerSchema.safeParse(json)
  // `return` is unknown, so zod takes its absence for `undefined`: look for the key itself.
  if (answer.success && ('error' in answer.data || Object.hasOwn(Object(json), 'return'))) {
    return { kind: 'answer', answer: answer.data }
  }
  return undefined
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

// Answers of the commands that we use.
export const uuidAnswerSchema = z.object({ UUID: z.string() })
export const nameAnswerSchema = z.object({ name: z.string().optional() })
export const statusAnswerSchema = z.object({ running: z.boolean(), status: z.string() })
export const blockAnswerSchema = z.array(
  z.object({
    device: z.string(),
    qdev: z.string().optional(),
    'io-status': z.enum(['ok', 'failed', 'nospace']).optional(),
    inserted: z.object({ file: z.string(), 'node-name': z.string().optional() }).optional(),
  }),
)
export type BlockAnswer = z.infer<typeof blockAnswerSchema>
export const namedNodesAnswerSchema = z.array(z.object({ 'node-name': z.string().optional() }))
export const jobsAnswerSchema = z.array(
  z.object({
    id: z.string(),
    status: z.string(),
    'current-progress': z.number(),
    'total-progress': z.number(),
    error: z.string().optional(),
  }),
)
/** No status: none was ever asked for. */
export const migrationAnswerSchema = z.object({
  status: z.string().optional(),
  'error-desc': z.string().optional(),
  ram: z.object({ transferred: z.number() }).optional(),
})

// Events that change what a node is doing.
export const shutdownEventSchema = z.object({ guest: z.boolean(), reason: z.string() })
export const blockErrorEventSchema = z.object({
  operation: z.string(),
  action: z.string(),
  nospace: z.boolean().optional(),
  reason: z.string().default(''),
  'node-name': z.string().optional(),
})
