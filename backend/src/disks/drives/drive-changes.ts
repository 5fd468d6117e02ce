import { z } from 'zod'
import { SandlabError } from '../../domain/error.js'
import { nodeIdSchema, type NodeId } from '../../domain/ids.js'
import { nodeRefuses, type NodeRecord } from '../../domain/node.js'
import type { OperationKind } from '../../domain/operation.js'
import type { OperationPlan } from '../../domain/plan.js'
import type { LabState } from '../../domain/state.js'
import { imageOf, publishNode, viewNode, type Actor, type NodesContext } from '../../nodes/context.js'
import { isAlive } from '../../nodes/clone-prepare.js'
import { writeSidecar } from '../../storage/sidecars.js'
import { errorOf } from '../../transactions/operation-record.js'
import type { TransactionStart } from '../../transactions/transactions.js'

/** What every change of a node's drives knows before its first step. */
export const changeSchema = z.object({
  nodeId: nodeIdSchema,
  at: z.iso.datetime(),
  actorLogin: z.string(),
  /** No two changes have one name. */
  key: z.uuid(),
})
export type DriveChange = z.infer<typeof changeSchema>

/** Within the commit: changes the node's record and tells its history. Throws `not_found` when it is gone. */
export function changeNode(
  context: NodesContext,
  draft: LabState,
  { nodeId, actorLogin }: Pick<DriveChange, 'nodeId' | 'actorLogin'>,
  change: (node: NodeRecord) => string,
): void {
  const node = draft.nodes.find(({ id }) => id === nodeId)
  if (!node) throw new SandlabError('not_found', 'The node was deleted meanwhile.', { hint: 'Nothing was changed.' })
  if (node.suspended) refuseSuspended(node)
  const text = change(node)
  // Now, and not when it was asked for: what began to run in between does not have it.
  const at = context.now().toISOString()
  node.drivesChangedAt = at
  node.updatedAt = at
  node.events = [{ at, kind: 'changed' as const, text, actorLogin }, ...node.events].slice(0, 100)
}

/** Throws `wrong_status`: its memory knows the drives that it was saved with. */
export function refuseSuspended({ name, suspended }: NodeRecord): void {
  const refusal = suspended ? nodeRefuses('changeDrives', 'suspended') : undefined
  if (refusal !== undefined) throw new SandlabError('wrong_status', `${name}: ${refusal}`)
}

/** After the commit: the record beside the disk, what is wrong with its storage, and the page. */
export async function tellNode(context: NodesContext, nodeId: NodeId): Promise<void> {
  const record = context.store.data.nodes.find(({ id }) => id === nodeId)
  if (!record) return
  await writeSidecar(context.layout, record)
  await context.observations.inspectStorage(record, imageOf(context, record.imageId))
  publishNode(context, nodeId)
}

/** When a node that runs, or will before anybody looks, has a drive that it did not begin with. */
export function appliesLater(context: NodesContext, record: NodeRecord): boolean {
  return isAlive(context, record) || viewNode(context, record).status === 'unknown'
}

export const NEXT_START = 'The node runs: its guest has it after the next start.'

export function about(title: string, nodeId: NodeId, actor: Actor): TransactionStart {
  return { title, actor, target: { type: 'node', id: nodeId }, cancellable: false, request: actor.request ?? null }
}

type Found = Partial<Omit<OperationPlan, 'kind' | 'title' | 'refusal'>> & { refusal?: SandlabError | null }

/** What would be done; a refusal is part of the plan. */
export async function planned(kind: OperationKind, title: string, look: () => Promise<Found>): Promise<OperationPlan> {
  const empty = { steps: [], space: [], creates: [], replaces: [], files: [], warnings: [] }
  try {
    const { refusal, ...found } = await look()
    return { kind, title, ...empty, ...found, refusal: refusal ? errorOf(refusal) : null }
  } catch (error) {
    if (!(error instanceof SandlabError)) throw error
    return { kind, title, ...empty, refusal: errorOf(error) }
  }
}
