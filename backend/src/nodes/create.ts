import { z } from 'zod'
import { isSandlabError, SandlabError } from '../domain/error.js'
import type { OperationPlan } from '../domain/plan.js'
import { nodeRecordSchema, type CreateNode, type NodeRecord } from '../domain/node.js'
import type { LabState } from '../domain/state.js'
import { measureSpace, noSpace, reserveSpace, type Need } from '../storage/space.js'
import { writeSidecar } from '../storage/sidecars.js'
import { discardOverlay } from '../storage/overlays.js'
import { createLimiter } from '../system/limiter.js'
import type { BulkHandle } from '../transactions/operations.js'
import type { Procedure } from '../transactions/procedure.js'
import { imageOf, publishNode, recordOf, type Actor, type NodesContext } from './context.js'
import { engineFailure } from './engine-failure.js'
import { generatedPassword, newNode, noSuchImage, refuseOverQuota, refuseTaken, type NewNode } from './new-record.js'
import { specOf } from './spec.js'

const intentSchema = z.object({ records: z.array(nodeRecordSchema) })
type CreateIntent = z.infer<typeof intentSchema>

/** Disks that are made at the same time. */
const AT_ONCE = 8

/** Makes nodes over base images: all of them or none. */
export function createProcedure(context: NodesContext): Procedure<CreateIntent> {
  return {
    kind: 'node.create',
    intent: intentSchema,
    resources: ({ records }) => records.map((record) => ({ type: 'disk', id: `/overlays/${record.overlayFile}` })),
    around: ({ records }, work) => reserveSpace(needsOf(context, records.length), whatOf(records), work),
    steps: [
      {
        title: 'Making the disks',
        do: ({ records }, op) => forEach(records, op, (record) => makeDisk(context, record)),
        undo: ({ records }) => forEach(records, null, (record) => discardOverlay(context.layout, record.id)),
      },
      {
        title: 'Writing the records beside them',
        do: ({ records }) => forEach(records, null, (record) => writeSidecar(context.layout, record)),
        // Taken back with the disks.
      },
    ],
    commit(draft, { records }) {
      for (const record of records) refuseConflicts(draft, record)
      draft.nodes.push(...records)
    },
  }
}

export interface CreatedNodes {
  records: NodeRecord[]
  /** In the same order; null where the person chose the password or the guest takes none. */
  guestPasswords: (string | null)[]
}

/**
 * All of them or none. A request that came before with the same key is answered with what it made.
 * Throws `not_found`, `name_taken`, `disk_too_small`, `quota_reached`, `no_space`, `key_reused`.
 */
export async function createNodes(
  context: NodesContext,
  requests: readonly CreateNode[],
  actor: Actor,
): Promise<CreatedNodes> {
  const earlier = context.transactions.earlier(actor)
  const made = earlier ? [] : await newNodes(context, requests, actor)
  const records = made.map(({ record }) => record)
  const { operation, result } =
    earlier ??
    context.transactions.run(
      createProcedure(context),
      { records },
      {
        title: titleOf(requests),
        actor,
        target: records.length === 1 && records[0] ? { type: 'node', id: records[0].id } : null,
        cancellable: records.length > 1,
        request: actor.request ?? null,
        items: records.map(({ id, name }) => ({ id, name })),
      },
    )
  await result
  const found = operation.items.map(({ id }) => recordOf(context, id ?? ''))
  for (const record of found) {
    await context.observations.inspectStorage(record, imageOf(context, record.imageId))
    publishNode(context, record.id)
  }
  return {
    records: found,
    guestPasswords: earlier
      ? requests.map((request) => generatedPassword(context, request, actor))
      : made.map(({ guestPassword }) => guestPassword),
  }
}

/** What creating them would take, and whether it would be refused. */
export async function planCreate(
  context: NodesContext,
  requests: readonly CreateNode[],
  actor: Actor,
): Promise<OperationPlan> {
  const space = await measureSpace(needsOf(context, requests.length))
  const short = space.find(({ freeUpBytes }) => freeUpBytes > 0)
  const refusal = await newNodes(context, requests, actor).then(
    () => (short ? noSpace(short, titleOf(requests).toLowerCase()) : null),
    (error: unknown) => {
      if (!isSandlabError(error)) throw error
      return error
    },
  )
  return {
    kind: 'node.create',
    title: titleOf(requests),
    steps: ['Make the disks over the base image', 'Write the records beside them', 'Record the nodes'],
    space,
    creates: requests.map(({ name }) => ({ type: 'node', name })),
    replaces: [],
    warnings: [],
    refusal: refusal && {
      code: refusal.code,
      message: refusal.message,
      ...(refusal.hint ? { hint: refusal.hint } : {}),
    },
  }
}

async function newNodes(context: NodesContext, requests: readonly CreateNode[], actor: Actor): Promise<NewNode[]> {
  const made = await Promise.all(requests.map((request) => newNode(context, request, actor)))
  const names = new Set<string>()
  for (const { record } of made) {
    const owned = `${record.ownerId} ${record.name}`
    if (names.has(owned)) throw new SandlabError('name_taken', `The name ${record.name} is in the list twice.`)
    names.add(owned)
  }
  for (const ownerId of new Set(made.map(({ record }) => record.ownerId))) {
    refuseOverQuota(context, ownerId, made.filter(({ record }) => record.ownerId === ownerId).length)
  }
  return made
}

async function makeDisk(context: NodesContext, record: NodeRecord): Promise<void> {
  const image = imageOf(context, record.imageId)
  if (!image) throw noSuchImage(record.imageId)
  await context.engine
    .ensureNode(specOf(record, image, context.store.data.layers), `create-${record.id}`)
    .wait()
    .catch((error: unknown) => {
      throw engineFailure(error, `Could not make the disk of ${record.name}`)
    })
}

/** What may have changed since we looked. */
function refuseConflicts(draft: LabState, record: NodeRecord): void {
  refuseTaken(draft, record.name, record.ownerId)
  if (!draft.images.some(({ id }) => id === record.imageId)) throw noSuchImage(record.imageId)
  if (draft.nodes.some((node) => node.mac === record.mac)) {
    throw new SandlabError('busy', `Could not create ${record.name}: its network address is taken. Try again.`)
  }
}

function needsOf(context: NodesContext, count: number): Need[] {
  return [{ path: context.layout.overlays, bytes: count * context.rules.growthReserveBytes }]
}

function whatOf(records: readonly NodeRecord[]): string {
  return records.length === 1 ? `create ${records[0]?.name}` : `create ${records.length} nodes`
}

function titleOf(requests: readonly CreateNode[]): string {
  return requests.length === 1 ? `Create ${requests[0]?.name}` : `Create ${requests.length} nodes`
}

/** A few at a time; the first failure is thrown when those under way have ended, so that an undo finds them still. */
async function forEach(
  records: readonly NodeRecord[],
  op: BulkHandle | null,
  work: (record: NodeRecord) => Promise<unknown>,
): Promise<void> {
  const limiter = createLimiter(AT_ONCE)
  let failed = false
  const all = await Promise.allSettled(
    records.map((record, index) =>
      limiter.run(async () => {
        if (op?.signal.aborted === true || (op && failed)) throw op.signal.reason ?? new Error('another one failed')
        op?.item(index, { state: 'running' })
        try {
          await work(record)
        } catch (error) {
          failed = true
          throw error
        }
        op?.item(index, { state: 'succeeded' })
      }),
    ),
  )
  const failure = all.find((one) => one.status === 'rejected')
  if (failure) throw failure.reason
}
