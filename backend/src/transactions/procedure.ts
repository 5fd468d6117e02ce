import type { z } from 'zod'
import type { Operation, OperationKind } from '../domain/operation.js'
import type { LabState } from '../domain/state.js'
import type { BulkHandle } from './operation-handle.js'

/** One effect on the world, and how to take it back. */
export interface Step<I> {
  /** In words, for progress and the log: `Making the disks`. */
  title: string
  do(intent: I, op: BulkHandle): Promise<void>
  /**
   * Takes back whatever `do` made, whole or in part, also when `do` never ran: finding nothing is success. Removes only
   * what this operation made, told by names that derive from its intent. Absent: `do` leaves nothing behind.
   */
  undo?(intent: I): Promise<void>
}

/** A step after the commit: it may run again after a kill, and finding its work done is success. */
export interface ForwardStep<I> {
  title: string
  do(intent: I, op: BulkHandle): Promise<void>
}

/**
 * An operation that is whole or not at all: its file reads as the list of its steps. Everything that it will name (ids,
 * paths, records) is in the intent before the first step, so that a later process can undo or finish it without memory.
 */
export interface Procedure<I> {
  readonly kind: OperationKind
  /** What the journal keeps; JSON. */
  readonly intent: z.ZodType<I>
  /** What it makes and takes away, for the log. */
  resources(intent: I): Operation['resources']
  /** Holds what it needs alone (locks, reserved space) around all of it, also when a later process goes on. */
  around?(intent: I, work: () => Promise<void>): Promise<void>
  readonly steps: readonly Step<I>[]
  /** The change of state that makes it true, durably and at once. A throw undoes every step. */
  commit(draft: LabState, intent: I): void
  /** Only forward: what has been committed is finished, by this process or by the next. */
  readonly after?: readonly ForwardStep<I>[]
  /** After a kill before the commit its steps run again, and each goes on where it was. Otherwise they are undone. */
  readonly resumable?: boolean
}

/** A procedure of any intent, as the table of all of them holds it. */
export interface AnyProcedure {
  readonly kind: OperationKind
  bind(intent: unknown): BoundProcedure
}

/** A procedure with its intent filled in. */
export interface BoundProcedure {
  readonly kind: OperationKind
  readonly intent: unknown
  readonly resumable: boolean
  resources(): Operation['resources']
  around(work: () => Promise<void>): Promise<void>
  readonly steps: readonly { title: string; do(op: BulkHandle): Promise<void>; undo(): Promise<void> }[]
  commit(draft: LabState): void
  readonly after: readonly { title: string; do(op: BulkHandle): Promise<void> }[]
}

/** Lets the table forget the type of the intent: whatever comes out of the journal is parsed by its schema first. */
export function anyProcedure<I>(procedure: Procedure<I>): AnyProcedure {
  return { kind: procedure.kind, bind: (intent) => bind(procedure, procedure.intent.parse(intent)) }
}

export function bind<I>(procedure: Procedure<I>, intent: I): BoundProcedure {
  return {
    kind: procedure.kind,
    intent,
    resumable: procedure.resumable ?? false,
    resources: () => procedure.resources(intent),
    around: (work) => (procedure.around ? procedure.around(intent, work) : work()),
    steps: procedure.steps.map((step) => ({
      title: step.title,
      do: (op) => step.do(intent, op),
      undo: async () => step.undo?.(intent),
    })),
    commit: (draft) => procedure.commit(draft, intent),
    after: (procedure.after ?? []).map((step) => ({ title: step.title, do: (op) => step.do(intent, op) })),
  }
}
