import { z } from 'zod'
import { isSandlabError, SandlabError } from '../domain/error.js'
import type { Operation } from '../domain/operation.js'
import type { OperationPlan } from '../domain/plan.js'
import { nodeRecordSchema, type CreateNode, type GuestPassword, type NodeRecord } from '../domain/node.js'
import type { LabState } from '../domain/state.js'
import { measureSpace, noSpace, reserveSpace, type Need } from '../storage/space.js'
import { writeSidecar } from '../storage/sidecars.js'
import { discardOverlay } from '../storage/overlays.js'
import { hashGuestPasswords } from '../system/crypt-password.js'
import { createLimiter } from '../system/limiter.js'
import { errorOf } from '../transactions/operation-record.js'
import type { BulkHandle } from '../transactions/operations.js'
import type { Procedure } from '../transactions/procedure.js'
import { imageOf, publishNode, recordOf, type Actor, type NodesContext } from './context.js'
import { engineFailure } from './engine-failure.js'
import { generatedPassword, nameTaken, newNode, noSuchImage, refuseOverQuota } from './new-record.js'
import { specOf } from './spec.js'
import { startAll } from './start-all.js'

const intentSchema = z.object({ records: z.array(nodeRecordSchema) })
type CreateIntent = z.infer<typeof intentSchema>

/** Disks that are made at the same time. */
const AT_ONCE = 8

/**
 * Makes nodes over base images: all of them or none. `starter`: has them started once they are made, which is not part of
 * the transaction: a start that fails is told with its item, and after a kill nobody starts them.
 */
export function createProcedure(context: NodesContext, starter?: Actor): Procedure<CreateIntent> {
  const doing = starter ? 'running' : 'succeeded' // until it is started as well
  return {
    kind: 'node.create',
    intent: intentSchema,
    resources: ({ records }) => records.map((record) => ({ type: 'disk', id: `/overlays/${record.overlayFile}` })),
    around: ({ records }, work) => reserveSpace(needsOf(context, records.length), whatOf(records), work),
    steps: [
      {
        title: 'Making the disks',
        do: ({ records }, op) => forEach(records, op, (record) => makeDisk(context, record), doing),
        undo: ({ records }) => forEach(records, null, (record) => discardOverlay(context.layout, record.id)),
      },
      {
        title: 'Writing the records beside them',
        do: ({ records }) => forEach(records, null, (record) => writeSidecar(context.layout, record)),
        // Taken back with the disks.
      },
    ],
    commit(draft, { records }) {
      refuseConflicts(context, draft, records)
      draft.nodes.push(...records)
    },
    ...(starter && {
      after: [{ title: 'Starting them', do: ({ records }, op) => startAll(context, records, op, starter) }],
    }),
  }
}

/** Nodes that are being made: their ids are in the operation's items, in the order of the requests. */
export interface NodesUnderWay {
  operation: Operation
  /** Generated ones; null where the person chose it or the guest takes none. */
  guestPasswords: (string | null)[]
  /** The same, with what a person needs to know to use them. */
  passwordEntries: GuestPassword[]
  /** Resolves when they are there (and, where asked, have been started), rejects when none is. */
  result: Promise<NodeRecord[]>
}

/**
 * All of them or none. A request that came before with the same key is answered with what it made.
 * Throws `not_found`, `name_taken`, `disk_too_small`, `quota_reached`, `no_space`, `key_reused`.
 */
export async function createNodes(
  context: NodesContext,
  requests: readonly CreateNode[],
  actor: Actor,
): Promise<Omit<NodesUnderWay, 'result'> & { records: NodeRecord[] }> {
  const { result, ...begun } = await beginCreate(context, requests, actor)
  return { ...begun, records: await result }
}

/**
 * The same, and back as soon as it has begun; what can be told at once is thrown at once. `start`: they are started when
 * all are made.
 */
export async function beginCreate(
  context: NodesContext,
  requests: readonly CreateNode[],
  actor: Actor,
  { start = false }: { start?: boolean } = {},
): Promise<NodesUnderWay> {
  const earlier = context.transactions.earlier(actor)
  const guestPasswords = requests.map((request) => generatedPassword(context, request, actor))
  const records = earlier ? [] : await newRecords(context, requests, actor, guestPasswords)
  const { operation, result } =
    earlier ??
    context.transactions.run(
      createProcedure(context, start ? actor : undefined),
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
  const known = earlier
    ? operation.items.map((item) => context.store.data.nodes.find(({ id }) => id === item.id))
    : records
  const passwordEntries = known.flatMap((record, index) => entryOf(context, record, guestPasswords[index] ?? null))
  return { operation, guestPasswords, passwordEntries, result: result.then(() => lookAt(context, operation)) }
}

/** Nothing where no password was generated. */
export function entryOf(
  context: NodesContext,
  record: NodeRecord | undefined,
  guestPassword: string | null,
): GuestPassword[] {
  if (!record || guestPassword === null) return []
  const { id, name, ownerId, guest } = record
  return [{ id, name, login: context.owners.get(ownerId)?.login ?? '', guestUser: guest.user, guestPassword }]
}

async function lookAt(context: NodesContext, operation: Operation): Promise<NodeRecord[]> {
  const records = operation.items.map(({ id }) => recordOf(context, id ?? ''))
  await forEach(records, null, async (record) => {
    await context.observations.inspectStorage(record, imageOf(context, record.imageId))
    publishNode(context, record.id)
  })
  return records
}

/** What creating them would take, and whether it would be refused. */
export async function planCreate(
  context: NodesContext,
  requests: readonly CreateNode[],
  actor: Actor,
): Promise<OperationPlan> {
  const space = await measureSpace(needsOf(context, requests.length))
  const short = space.find(({ freeUpBytes }) => freeUpBytes > 0)
  const refusal =
    refusalOf(() => refuseRequests(context, requests, actor)) ?? (short ? noSpace(short, whatOf(requests)) : null)
  return {
    kind: 'node.create',
    title: titleOf(requests),
    steps: ['Make the disks over the base image', 'Write the records beside them', 'Record the nodes'],
    space,
    creates: requests.map(({ name }) => ({ type: 'node', name })),
    replaces: [],
    files: [],
    warnings: [],
    refusal: refusal && errorOf(refusal),
  }
}

/** Everything that can be said before anything is done. Throws it. */
export function refuseRequests(context: NodesContext, requests: readonly CreateNode[], actor: Actor): void {
  const records = requests.map((request) => newNode(context, request, actor, null))
  refuseTwice(records)
  refuseQuotas(context, records, context.store.data)
}

export function refusalOf(look: () => void): SandlabError | null {
  try {
    look()
    return null
  } catch (error) {
    if (isSandlabError(error)) return error
    throw error
  }
}

async function newRecords(
  context: NodesContext,
  requests: readonly CreateNode[],
  actor: Actor,
  generated: readonly (string | null)[],
): Promise<NodeRecord[]> {
  refuseRequests(context, requests, actor) // before the work of hashing
  const clears = requests.map((request, index) => request.guestPassword ?? generated[index] ?? null)
  const hashes = await hashGuestPasswords(clears)
  return requests.map((request, index) => newNode(context, request, actor, hashes[index] ?? null))
}

function refuseTwice(records: readonly NodeRecord[]): void {
  const names = new Set<string>()
  for (const { ownerId, name } of records) {
    if (names.has(`${ownerId} ${name}`)) {
      throw new SandlabError('name_taken', `The name ${name} is in the list twice.`, {
        hint: 'Two nodes may have one name only when different people own them.',
      })
    }
    names.add(`${ownerId} ${name}`)
  }
}

function refuseQuotas(context: NodesContext, records: readonly NodeRecord[], state: Pick<Readonly<LabState>, 'nodes'>) {
  for (const ownerId of new Set(records.map((record) => record.ownerId))) {
    refuseOverQuota(context, ownerId, records.filter((record) => record.ownerId === ownerId).length, state)
  }
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
function refuseConflicts(context: NodesContext, draft: LabState, records: readonly NodeRecord[]): void {
  const images = new Set(draft.images.map(({ id }) => id))
  const names = new Set(draft.nodes.map(({ ownerId, name }) => `${ownerId} ${name}`))
  const macs = new Set(draft.nodes.map(({ mac }) => mac))
  for (const { name, ownerId, imageId, mac } of records) {
    if (names.has(`${ownerId} ${name}`)) throw nameTaken(name)
    if (!images.has(imageId)) throw noSuchImage(imageId)
    if (macs.has(mac)) {
      throw new SandlabError('busy', `Could not create ${name}: its network address is taken. Try again.`)
    }
    macs.add(mac)
  }
  refuseQuotas(context, records, draft)
}

/** Room for the first writes of new disks. */
export function needsOf(context: NodesContext, count: number): Need[] {
  return [{ path: context.layout.overlays, bytes: count * context.rules.growthReserveBytes }]
}

export function whatOf(records: readonly { name: string }[]): string {
  return records.length === 1 ? `create ${records[0]?.name}` : `create ${records.length} nodes`
}

export function titleOf(requests: readonly CreateNode[]): string {
  return requests.length === 1 ? `Create ${requests[0]?.name}` : `Create ${requests.length} nodes`
}

/** A few at a time; the first failure is thrown when those under way have ended, so that an undo finds them still. */
async function forEach(
  records: readonly NodeRecord[],
  op: BulkHandle | null,
  work: (record: NodeRecord) => Promise<unknown>,
  done: 'running' | 'succeeded' = 'succeeded',
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
          op?.item(index, { state: 'failed', error: errorOf(error) })
          throw error
        }
        op?.item(index, { state: done })
      }),
    ),
  )
  const failure = all.find((one) => one.status === 'rejected')
  if (failure) throw failure.reason
}
