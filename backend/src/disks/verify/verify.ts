import { z } from 'zod'
import type { HealthCheck } from '../../domain/health.js'
import { operationIdSchema } from '../../domain/ids.js'
import type { Operation } from '../../domain/operation.js'
import type { VerifyLevel, VerifyReport, VerifyRequest } from '../../domain/storage.js'
import { recordOf, type Actor, type NodesContext } from '../../nodes/context.js'
import { recordFaults } from '../../state/record-faults.js'
import type { Seen } from '../../storage/verify-disk.js'
import { createLimiter } from '../../system/limiter.js'
import type { OperationHandle } from '../../transactions/operations.js'
import { createOffers, type Offers } from './repair-offers.js'
import type { Schedule } from '../schedule.js'
import { verifyImage, verifyLayer } from './verify-image.js'
import { verifyNode, type Looking } from './verify-node.js'
import { verifyReports, type KeptReport } from './verify-reports.js'
import { storageFinding } from './storage-health.js'

type Subject = VerifyReport['subjects'][number]

export interface Verify {
  /** Back as soon as it has begun. Throws `not_found`. */
  begin(request: VerifyRequest, actor: Actor): { operation: Operation; result: Promise<VerifyReport> }
  /** Undefined when there is none of that operation, or no more. */
  report(operationId: string): Promise<KeptReport | undefined>
  /** The newest of everything; null when there is none. */
  newest(): Promise<VerifyReport | null>
  /** What the nights, and whoever looked since then, have found. */
  health(): Promise<Omit<HealthCheck, 'id' | 'title'>>
}

/** Disks of which only names, sizes and headers are read. */
const LOOKED_AT_ONCE = 8
/** Whole disks that are read at once, whoever asks. */
const READ_AT_ONCE = 2
const SYSTEM: Actor = { id: null, login: 'system' }

export function createVerify(context: NodesContext, schedule: Schedule): Verify {
  const { layout, store } = context
  const content = createLimiter(READ_AT_ONCE)
  let known: Promise<KeptReport[]> | undefined
  const kept = verifyReports(layout)
  const reports = () => (known ??= kept.list())

  async function look(request: VerifyRequest, op: OperationHandle): Promise<VerifyReport> {
    const looking: Looking = { level: request.level, signal: op.signal, content }
    const subjects = await subjectsOf(context, request, looking, op)
    const report: VerifyReport = {
      at: context.now().toISOString(),
      level: request.level,
      ok: subjects.every(({ ok }) => ok),
      subjects,
    }
    const operationId = operationIdSchema.parse(op.id)
    await kept.keep({ kind: 'sandlabx-report', schema: 1, operationId, nodeId: request.nodeId ?? null, report })
    known = undefined
    context.bus.publish('storage', 'report', null)
    op.log(said(report))
    return report
  }

  const verify: Verify = {
    begin(request, actor) {
      const record = request.nodeId === undefined ? undefined : recordOf(context, request.nodeId)
      return context.operations.start(
        {
          kind: 'storage.verify',
          title: record ? `Verify the storage of ${record.name}` : 'Verify all storage',
          actor,
          target: record ? { type: 'node', id: record.id } : null,
          cancellable: true,
          request: actor.request ?? null,
        },
        (op) => look(request, op),
      )
    },
    async report(operationId) {
      if (!z.uuid().safeParse(operationId).success) return undefined
      return kept.read(operationId)
    },
    async newest() {
      return (await reports()).find(({ nodeId }) => nodeId === null)?.report ?? null
    },
    health: async () => storageFinding(await reports(), store.data.settings[0]?.verifyHour ?? null),
  }
  schedule.daily(
    'verify',
    () => store.data.settings[0]?.verifyHour ?? null,
    () => verify.begin({ level: 'full' }, SYSTEM).result,
  )
  return verify
}

function said({ ok, subjects }: VerifyReport): string {
  if (ok) return `All storage verified: ${subjects.length} looked at, nothing is wrong.`
  const wrong = subjects.filter((subject) => !subject.ok).map(({ name }) => name)
  return `Something is wrong with ${wrong.length} of ${subjects.length}: ${wrong.slice(0, 20).join(', ')}`
}

interface Task {
  type: Subject['type']
  id: string
  name: string
  look: () => Promise<Seen[]>
}

/** In the order of the report: the records, images, layers, nodes. */
async function subjectsOf(
  context: NodesContext,
  { nodeId }: VerifyRequest,
  looking: Looking,
  op: OperationHandle,
): Promise<Subject[]> {
  const { data } = context.store
  const counting = bytesCounter(data.images, looking.level, op)
  const nodes = nodeId === undefined ? data.nodes : data.nodes.filter(({ id }) => id === nodeId)
  const tasks: Task[] = nodes.map(({ id, name }) => ({
    type: 'node',
    id,
    name,
    look: () => verifyNode(context, id, looking),
  }))
  if (nodeId === undefined) tasks.unshift(...sharedTasks(context, looking, counting))
  const offers = createOffers(context)
  const limiter = createLimiter(LOOKED_AT_ONCE)
  let done = 0
  op.step(nodeId === undefined ? 'Looking at all storage' : 'Looking at its storage', 0)
  return Promise.all(
    tasks.map((task) =>
      limiter.run(async () => {
        looking.signal.throwIfAborted()
        const subject = await subjectOf(task, offers)
        if (task.type === 'node' && !subject.ok) await refreshStatus(context, task.id)
        done += 1
        op.step(nodeId === undefined ? 'Looking at all storage' : 'Looking at its storage', done / tasks.length)
        return subject
      }),
    ),
  )
}

async function subjectOf({ type, id, name, look }: Task, offers: Offers): Promise<Subject> {
  const seen = await look()
  const findings = await Promise.all(seen.map(async (one) => ({ ...one, repairs: await offers({ type, id }, one) })))
  return { type, id, name, ok: seen.every(({ ok }) => ok), findings }
}

/** What nodes have in common: the records themselves, base images, layers. */
function sharedTasks(context: NodesContext, looking: Looking, onBytes: (bytes: number) => void): Task[] {
  const { data } = context.store
  const registry: Task = { type: 'registry', id: 'state', name: 'state', look: async () => verifyRecords(context) }
  const images = data.images.map((image): Task => ({
    type: 'image',
    id: image.id,
    name: image.id,
    look: () => verifyImage(context, image, looking, onBytes),
  }))
  const layers = data.layers.map((layer): Task => ({
    type: 'layer',
    id: layer.id,
    name: layerName(context, layer.id),
    look: async () => {
      // Merged or deleted since we began: nothing names it any more.
      const now = context.store.data.layers.find(({ id }) => id === layer.id)
      if (!now) return []
      const seen = await verifyLayer(context, now, looking)
      return context.store.data.layers.some(({ id }) => id === layer.id) ? seen : []
    },
  }))
  return [registry, ...images, ...layers]
}

function layerName(context: NodesContext, layerId: string): string {
  const { snapshots } = context.store.data
  const snapshot = snapshots.find(({ disks }) => disks.some((disk) => disk.layerId === layerId))
  return snapshot ? `snapshot ${snapshot.name}` : `layer ${layerId}`
}

function verifyRecords({ store, layout }: NodesContext): Seen[] {
  const path = layout.stateFile
  const faults = recordFaults(store.data)
  if (faults.length === 0) return [{ check: 'chain', path, ok: true, message: 'records agree with each other' }]
  return faults.map(({ subject, message }) => ({ check: 'chain', path, ok: false, message: `${subject}: ${message}` }))
}

/** A fault that is found now is shown now: the node's status tells it, as after a start. */
async function refreshStatus(context: NodesContext, id: string): Promise<void> {
  const record = context.store.data.nodes.find((node) => node.id === id)
  if (!record || context.locks.busy(id) !== undefined) return
  const image = context.store.data.images.find((one) => one.id === record.imageId)
  await context.observations.inspectStorage(record, image)
}

function bytesCounter(
  images: NodesContext['store']['data']['images'],
  level: VerifyLevel,
  op: OperationHandle,
): (bytes: number) => void {
  const total = level === 'full' ? images.reduce((sum, { fingerprint }) => sum + fingerprint.sizeBytes, 0) : 0
  let done = 0
  return (bytes) => {
    done += bytes
    op.bytes(Math.min(done, total), total)
  }
}
