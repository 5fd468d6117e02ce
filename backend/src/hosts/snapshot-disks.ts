import type { NodeId } from '../domain/ids.js'
import { QmpError } from '../system/qmp.js'
import type { QmpClient } from '../system/qmp.js'
import { requireAgent } from './agent-line.js'
import { activeNode, nodeNames, overNode, startedWith, type Blockdev } from './block-names.js'
import { FLUSH_TIMEOUT_MS } from './disk-graph.js'
import { fileOfNode, forgetNode, nodePathInQemu, pointNode } from './disk-names.js'
import { EngineError } from './engine.js'
import type { SnapshotDisk, SnapshotRequest, SnapshotResult } from './engine-disks.js'
import { hasEnded } from './freezer.js'
import { whileFrozen } from './guest-freeze.js'
import { qmpFailure } from './guest-input.js'
import { engineErrorOf } from './jobs.js'
import { flushAhead } from './live-layer.js'
import { saveMemory } from './memory.js'
import type { EngineContext, Run } from './run.js'
import {
  dropMemory,
  filesProgress,
  goBack,
  goForward,
  inOverlays,
  nameLayers,
  stageFresh,
  type SnapshotFiles,
} from './snapshot-files.js'
import { clientOf, hold, letGo } from './take-back.js'

/** For `snapshotDisks` of the contract. Call alone on the node, whose disks are neither frozen nor merged. */
export async function takeSnapshot(
  context: EngineContext,
  run: Run,
  request: SnapshotRequest,
): Promise<SnapshotResult> {
  if (request.freeze) await requireAgent(run)
  const client = clientOf(run)
  const active: ActiveDisk[] = []
  for (const disk of request.disks) active.push(await activeDisk(run, client, disk))
  await stageFresh(context.layout, request.disks)
  let pauseMs = 0
  let frozenMs: number | null = null
  try {
    for (const disk of active) await addFresh(context, run, client, disk)
    for (const { file } of request.disks) await flushAhead(inOverlays(context.layout, file))
    const moment = () => atOneMoment(context, run, client, request, active)
    if (request.freeze) ({ value: pauseMs, frozenMs } = await whileFrozen(context, run, moment))
    else pauseMs = await moment()
    await finish(context, run, request.disks)
  } catch (error) {
    await recover(context, run, request, error)
  }
  const { qemuVersion, args } = run.launch
  return { qemuVersion, machine: machineOf(args), pauseMs, frozen: frozenMs !== null, frozenMs }
}

interface ActiveDisk {
  names: SnapshotDisk
  /** The node that the guest has written to until now. */
  node: string
  /** What the disk was started with. */
  like: Blockdev
}

async function activeDisk(run: Run, client: QmpClient, names: SnapshotDisk): Promise<ActiveDisk> {
  const like = startedWith(run.launch.args, names.driveId)
  if (like['read-only'] === true) {
    throw new EngineError('unsupported', `The drive ${names.driveId} is read-only: it never changes.`)
  }
  return { names, node: await activeNode(client, names.driveId), like }
}

/** The fresh overlay is opened, nobody writes to it yet. */
async function addFresh(
  context: EngineContext,
  run: Run,
  client: QmpClient,
  { names, like }: ActiveDisk,
): Promise<void> {
  const node = overNode(names.layerFile)
  await pointNode(context, run.paths, node, names.freshFile)
  const file = { ...like.file, filename: nodePathInQemu(context, run.paths, node) }
  await client.run('blockdev-add', { ...like, 'node-name': node, file, backing: null }, FLUSH_TIMEOUT_MS)
}

/** From memory to disks nothing moves. Returns how long the guest stood still. */
async function atOneMoment(
  context: EngineContext,
  run: Run,
  client: QmpClient,
  { disks, memoryFile }: SnapshotRequest,
  active: readonly ActiveDisk[],
): Promise<number> {
  const began = performance.now()
  if (memoryFile !== undefined) await hold(run, client)
  try {
    if (memoryFile !== undefined) await saveMemory(context, run, client, memoryFile)
    await nameLayers(context.layout, disks)
    for (const { names, node } of active) await pointNode(context, run.paths, node, names.layerFile)
    const pivotedAt = performance.now()
    const actions = active.map(({ names, node }) => ({
      type: 'blockdev-snapshot',
      data: { node, overlay: overNode(names.layerFile) },
    }))
    await client.run('transaction', { actions }, FLUSH_TIMEOUT_MS)
    if (memoryFile === undefined) return performance.now() - pivotedAt
  } finally {
    // An error of its own must not hide the first: QEMU that has ended needs no letting go.
    await letGo(context, run, client).catch((error: unknown) => {
      context.log.warn({ err: error, nodeId: run.id }, 'a guest that was held could not be let go yet')
    })
  }
  return performance.now() - began
}

async function finish(context: EngineContext, run: Run, disks: readonly SnapshotDisk[]): Promise<void> {
  await goForward(context.layout, disks)
  for (const { file, layerFile } of disks) await pointNode(context, run.paths, overNode(layerFile), file)
}

/** After a failure QEMU and the files say what holds. Throws the failure when nothing does. */
async function recover(context: EngineContext, run: Run, request: SnapshotRequest, error: unknown): Promise<void> {
  const failure = engineErrorOf(qmpFailure('take a snapshot of its disks', error))
  try {
    if (context.closed.aborted) throw failure
    if (error instanceof QmpError && error.failure === 'closed') await hasEnded(context, run, error)
    if ((await settleSnapshot(context, run.id, request)) === 'done') return
  } catch (cause) {
    context.log.warn({ err: cause, nodeId: run.id }, 'a snapshot that failed is not settled yet')
    throw new EngineError('lost', `${failure.message} How far it came is not known yet.`, { retry: true, cause })
  }
  throw failure
}

/** For `snapshotState` of the contract. Call alone on the node. */
export async function settleSnapshot(
  context: EngineContext,
  id: NodeId,
  request: SnapshotFiles,
): Promise<'none' | 'done'> {
  const { layout } = context
  const run = context.live.get(id)
  const progress = await filesProgress(layout, request.disks)
  if (run && (await havePivoted(clientOf(run), request.disks))) {
    await finish(context, run, request.disks)
    return 'done'
  }
  if (progress === 'none' || (run && progress === 'perhaps')) {
    await goBack(layout, request)
    if (run) await forget(context, run, request.disks)
    return 'none'
  }
  // QEMU is gone, or was started since: if the pivot was never made, the guest wrote on after its memory was saved.
  if (progress === 'perhaps') await dropMemory(layout, request.memoryFile)
  await goForward(layout, request.disks)
  return 'done'
}

/** Whether the guest writes to the fresh overlays, or has at some time. Closes them when it never did. */
async function havePivoted(client: QmpClient, disks: readonly SnapshotDisk[]): Promise<boolean> {
  const names = await nodeNames(client)
  for (const { driveId, layerFile } of disks) {
    const node = overNode(layerFile)
    if (!names.has(node)) continue
    if ((await activeNode(client, driveId)) === node) return true
    try {
      await client.run('blockdev-del', { 'node-name': node })
    } catch (error) {
      // In use: below a newer overlay.
      if (error instanceof QmpError && error.failure === 'refused') return true
      throw error
    }
  }
  return false
}

async function forget(context: EngineContext, run: Run, disks: readonly SnapshotDisk[]): Promise<void> {
  const client = clientOf(run)
  for (const { driveId, file, layerFile } of disks) {
    const node = overNode(layerFile)
    if ((await fileOfNode(run.paths, node)) === undefined) continue
    await pointNode(context, run.paths, await activeNode(client, driveId), file)
    await forgetNode(run.paths, node)
  }
}

/** `pc-i440fx-7.2` */
function machineOf(args: readonly string[]): string {
  return args[args.indexOf('-machine') + 1]?.split(',')[0] ?? ''
}
