import { z } from 'zod'
import { OPERATION_KINDS } from './operation.js'

/** Room on one file system, in bytes. `requiredBytes` has the safety margin in it. */
export const spaceNeedSchema = z.object({
  /** The folder that is written to. */
  path: z.string(),
  requiredBytes: z.int().nonnegative(),
  /** Free, less what running operations have reserved and what is kept free so that the state stays writable. */
  availableBytes: z.int(),
  reservedBytes: z.int().nonnegative(),
  keptFreeBytes: z.int().nonnegative(),
  /** What must be freed before it fits; 0 when it does. */
  freeUpBytes: z.int().nonnegative(),
})
export type SpaceNeed = z.infer<typeof spaceNeedSchema>

/** What an operation would do: shown by `--dry-run` and by the page's question, and the very object that is executed. */
export const operationPlanSchema = z
  .object({
    kind: z.enum(OPERATION_KINDS),
    /** In words: `Clone web to web-2`. */
    title: z.string(),
    /** In words, in order. */
    steps: z.array(z.string()),
    space: z.array(spaceNeedSchema),
    creates: z.array(z.object({ type: z.enum(['node', 'layer', 'image', 'snapshot', 'drive']), name: z.string() })),
    /** What makes room for it, and where that goes. */
    replaces: z.array(
      z.object({
        type: z.enum(['node', 'image', 'disk', 'snapshot', 'drive']),
        id: z.string(),
        name: z.string(),
        /** Bytes that its storage holds on the disk. */
        bytes: z.int().nonnegative(),
        /** In words: `moves to the trash`. */
        fate: z.string(),
      }),
    ),
    /** Disk files that it touches, with their sizes and what becomes of each. */
    files: z.array(z.object({ path: z.string(), bytes: z.number(), fate: z.string() })).default([]),
    warnings: z.array(z.string()),
    /** Why it would be refused now; null when it would not. */
    refusal: z.object({ code: z.string(), message: z.string(), hint: z.string().optional() }).nullable(),
  })
  .meta({ id: 'OperationPlan' })
export type OperationPlan = z.infer<typeof operationPlanSchema>
