import type { Operation } from '../../domain/operation.js'
import type { OperationPlan } from '../../domain/plan.js'
import type { Actor, NodesContext } from '../../nodes/context.js'
import { beginReset, type ResetRequest } from './reset-many.js'
import { planReset } from './reset-plan.js'

/** Fresh disks for nodes; what they had moves to the trash. Who may do it to which node is decided by whoever asks. */
export interface Reset {
  /** Back as soon as it has begun. */
  begin(ids: readonly string[], request: ResetRequest, actor: Actor): Promise<Operation>
  plan(ids: readonly string[], request: ResetRequest): Promise<OperationPlan>
}

export function createReset(context: NodesContext): Reset {
  return {
    begin: (ids, request, actor) => beginReset(context, ids, request, actor),
    plan: (ids, request) => planReset(context, ids, request),
  }
}
