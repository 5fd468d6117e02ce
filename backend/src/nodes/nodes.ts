import { SandlabError } from '../domain/error.js'
import type { NodeEvent } from '../domain/event.js'
import type { Layer } from '../domain/layer.js'
import {
  nodeRefuses,
  type BatchCreate,
  type CloneNode,
  type CreateNode,
  type GuestPassword,
  type NodeRecord,
  type NodeView,
  type Suspended,
  type UpdateNode,
} from '../domain/node.js'
import type { Operation } from '../domain/operation.js'
import type { OperationPlan } from '../domain/plan.js'
import type { EngineNode } from '../hosts/engine.js'
import { createLimiter } from '../system/limiter.js'
import { availableParallelism } from 'node:os'
import { beginBatch, planBatch } from './batch.js'
import { cloneNode, type BegunClone } from './clone.js'
import { planClone } from './clone-plan.js'
import type { CloneRights } from './clone-prepare.js'
import { publishNode, recordOf, viewNode, type Actor, type NodesContext, type NodesDependencies } from './context.js'
import { createNodes as makeNodes, planCreate } from './create.js'
import { discardMemory } from './discard-memory.js'
import { createGuestPasswords } from './guest-passwords.js'
import { createObservations } from './observe.js'
import { receiveNode } from './receive.js'
import { planReceive } from './receive-prepare.js'
import { inspectAll, reconcile, recordEnd, type ReconcileReport } from './reconcile.js'
import type { AnyProcedure } from '../transactions/procedure.js'
import { leaveNodes, type OnStopOptions, type OnStopReport } from './on-stop.js'
import { planRemoval, type RemovalOptions } from './removal-plan.js'
import { deleteNode } from './remove.js'
import { resumeLeft, type ResumeReport } from './resume-all.js'
import { lastScreenOf, screenshotOf } from './screen.js'
import { startNode } from './start.js'
import { restartNode, stopNode } from './stop.js'
import { suspendNode } from './suspend.js'
import { layersOf } from './unused-layers.js'
import { updateNode } from './update.js'

type Rest<F> = F extends (context: NodesContext, ...rest: infer R) => unknown ? R : never
type ReceiveArguments = Rest<typeof receiveNode>
type PlanReceiveArguments = Rest<typeof planReceive>

const STORAGE_SCAN_MS = 30_000

/** The room's door: every verb on a node. Each throws SandlabError; `not_found` for an id that no record has. */
export interface Nodes {
  list(): NodeView[]
  get(id: string): NodeView
  record(id: string): NodeRecord
  create(request: CreateNode, actor: Actor): Promise<{ node: NodeView; guestPassword: string | null }>
  planCreate(requests: readonly CreateNode[], actor: Actor): Promise<OperationPlan>
  /** Many at once; back as soon as it has begun. */
  createMany(batch: BatchCreate, actor: Actor): Promise<Operation>
  planCreateMany(batch: BatchCreate, actor: Actor): Promise<OperationPlan>
  /** Generated for the guests that this operation made; told once. */
  takeGuestPasswords(operationId: string): GuestPassword[]
  /** Back as soon as it has begun. */
  clone(id: string, request: CloneNode, actor: Actor, rights: CloneRights): Promise<BegunClone>
  planClone(id: string, request: CloneNode, actor: Actor, rights: CloneRights): Promise<OperationPlan>
  /** Named snapshots of a node and what its disk stands on, newest first. */
  layers(id: string): Layer[]
  /** Of an upload from another SandLabX; back as soon as it has begun. */
  receive(...given: ReceiveArguments): Promise<Operation>
  planReceive(...given: PlanReceiveArguments): ReturnType<typeof planReceive>
  update(id: string, request: UpdateNode, actor: Actor): Promise<NodeView>
  start(id: string, actor: Actor): Promise<NodeView>
  stop(id: string, now: boolean, actor: Actor): Promise<NodeView>
  restart(id: string, actor: Actor): Promise<NodeView>
  suspend(id: string, why: Suspended['why'], actor: Actor): Promise<NodeView>
  /** Of a suspended or paused node. */
  resume(id: string, actor: Actor): Promise<NodeView>
  discardMemory(id: string, actor: Actor): Promise<NodeView>
  /** When SandLabX is told to end. */
  leave(options: OnStopOptions): Promise<OnStopReport>
  /** When it has started. */
  resumeLeft(): Promise<ResumeReport>
  planRemoval(id: string, options: RemovalOptions): Promise<OperationPlan>
  delete(id: string, deleteStorage: boolean, actor: Actor, keepSnapshots?: boolean): Promise<void>
  events(id: string): NodeEvent[]
  screenshot(id: string): Promise<Buffer>
  lastScreen(id: string): Promise<Buffer>
  /** For the room above. */
  readonly context: NodesContext
  /** What the boot found. */
  readonly report: ReconcileReport
  close(): void
}

/**
 * Ends what a former backend left half done by the table of all procedures, adopts what runs, looks at every disk, and only then
 * answers.
 */
export async function createNodes(
  dependencies: NodesDependencies,
  procedures: (context: NodesContext) => readonly AnyProcedure[],
): Promise<Nodes> {
  const context: NodesContext = {
    ...dependencies,
    observations: createObservations(dependencies.layout, () => dependencies.store.data.layers),
    guestPasswords: createGuestPasswords(),
    startLimiter: createLimiter(Math.max(2, 2 * availableParallelism())), // half of a start is waiting
    admitted: new Map(),
  }
  const unsubscribe = context.engine.onChange((node) => {
    void engineChanged(context, node).catch((error: unknown) => {
      context.log.error({ err: error, nodeId: node.id }, 'a change of a node could not be recorded')
    })
  })
  await context.transactions.recover(procedures(context))
  const report = await reconcile(context)
  const scan = setInterval(() => {
    void inspectAll(context).catch((error: unknown) => context.log.warn({ err: error }, 'the storage scan failed'))
  }, STORAGE_SCAN_MS)
  scan.unref()

  const leaving = new AbortController()
  const view = (record: NodeRecord) => viewNode(context, record)
  return {
    report,
    context,
    list: () => context.store.data.nodes.map(view),
    get: (id) => view(recordOf(context, id)),
    record: (id) => recordOf(context, id),
    async create(request, actor) {
      const { records, guestPasswords } = await makeNodes(context, [request], actor)
      return { node: view(recordOf(context, records[0]?.id ?? '')), guestPassword: guestPasswords[0] ?? null }
    },
    planCreate: (requests, actor) => planCreate(context, requests, actor),
    createMany: (batch, actor) => beginBatch(context, batch, actor),
    planCreateMany: (batch, actor) => planBatch(context, batch, actor),
    takeGuestPasswords: (operationId) => context.guestPasswords.take(operationId),
    clone: (id, request, actor, rights) => cloneNode(context, id, request, actor, rights),
    planClone: (id, request, actor, rights) => planClone(context, id, request, actor, rights),
    layers: (id) => layersOf(context, id),
    receive: (...given) => receiveNode(context, ...given),
    planReceive: (...given) => planReceive(context, ...given),
    update: async (id, request, actor) => view(await updateNode(context, id, request, actor)),
    start: async (id, actor) => view(await startNode(context, id, actor)),
    stop: async (id, now, actor) => view(await stopNode(context, id, now, actor)),
    restart: async (id, actor) => view(await restartNode(context, id, actor)),
    suspend: async (id, why, actor) => view(await suspendNode(context, id, why, actor)),
    async resume(id, actor) {
      const record = recordOf(context, id)
      const refusal = nodeRefuses('resume', view(record).status)
      if (refusal !== undefined) throw new SandlabError('wrong_status', `${record.name}: ${refusal}`)
      return view(await startNode(context, id, actor))
    },
    discardMemory: async (id, actor) => view(await discardMemory(context, id, actor)),
    async leave(options) {
      leaving.abort()
      return leaveNodes(context, options)
    },
    resumeLeft: () => resumeLeft(context, leaving.signal),
    planRemoval: (id, options) => planRemoval(context, id, options),
    delete: (id, deleteStorage, actor, keepSnapshots = false) =>
      deleteNode(context, id, { deleteStorage, keepSnapshots }, actor),
    events: (id) => [...recordOf(context, id).events],
    screenshot: (id) => screenshotOf(context, id),
    lastScreen: (id) => lastScreenOf(context, id),
    close() {
      leaving.abort()
      clearInterval(scan)
      unsubscribe()
    },
  }
}

async function engineChanged(context: NodesContext, node: EngineNode): Promise<void> {
  context.observations.setEngine(node)
  const record = context.store.data.nodes.find((one) => one.id === node.id)
  if (!record) return
  publishNode(context, node.id)
  const gone = node.phase === 'stopped' || node.phase === 'failed' || node.phase === 'absent'
  if (!gone) return
  // An end within one of our own actions is recorded by that action.
  if (record.desired === 'running' && context.observations.of(node.id).transition === undefined)
    await recordEnd(context, record, node)
}
