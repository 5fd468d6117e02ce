import { z } from 'zod'
import { nodeIdSchema } from './ids.js'

/**
 * What the backend may ask of the broker, which alone holds Docker's socket: four calls on the container of one node.
 * Numbers only; no command, image, path or option can be said. Anything more in a body is refused.
 */

/** In lower case: it becomes part of a container's name. */
const containerOfSchema = nodeIdSchema.refine((id) => id === id.toLowerCase(), 'must be in lower case')

export const nodeContainerCallSchemas = {
  /** Makes it. One that does not run any more is replaced; `conflict` when one runs. */
  create: z.strictObject({
    node: containerOfSchema,
    /** Of the guest; what QEMU itself needs is added by the broker. */
    memoryMib: z.int().min(1).max(1_048_576),
    cpus: z.int().min(1).max(64),
    /** Whom its QEMU runs as; of the numbers that are set apart for nodes. */
    uid: z.int().min(1).max(4_294_967_294),
  }),
  start: z.strictObject({ node: containerOfSchema }),
  /** SIGTERM, and after these seconds SIGKILL. One that has ended = success. */
  stop: z.strictObject({ node: containerOfSchema, seconds: z.int().min(0).max(60) }),
  /** Ends it at once, and removes it. None there = success. */
  remove: z.strictObject({ node: containerOfSchema }),
} as const

export type NodeContainerCall = keyof typeof nodeContainerCallSchemas
export type NodeContainerRequest<C extends NodeContainerCall> = z.infer<(typeof nodeContainerCallSchemas)[C]>

export const NODE_CONTAINER_CALLS = Object.keys(nodeContainerCallSchemas) as NodeContainerCall[]

/** `bad-call`: refused unread; `conflict`: it runs; `not-found`: there is none; `docker`: the engine failed. */
export const BROKER_FAULTS = ['bad-call', 'conflict', 'not-found', 'docker'] as const
export const brokerFaultSchema = z.object({ fault: z.enum(BROKER_FAULTS), message: z.string().max(2000) })
export type BrokerFault = z.infer<typeof brokerFaultSchema>
