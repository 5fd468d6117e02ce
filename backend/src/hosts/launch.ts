import { access } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import type { NodeId } from '../domain/ids.js'
import { imageFile } from '../domain/layout.js'
import { QmpError } from '../system/qmp.js'
import { attachQmp, observe } from './attach.js'
import { EngineError, type NodeSpec } from './engine.js'
import { wantsInternet } from './egress.js'
import { prepareFirmware } from './firmware.js'
import { catchUp } from './guest-freeze.js'
import type { QemuStart, StartingQemu } from './housing.js'
import { giveFiles } from './node-files.js'
import { readLaunchRecord, writeLaunchRecord, type LaunchRecord } from './launch-record.js'
import { qemuArguments } from './machine.js'
import { throttles } from './disk-arguments.js'
import { linkDisks, pointNode } from './disk-names.js'
import { dataDiskFault, diskFault } from './node-disk.js'
import { badMemory, loadMemory, requireFittingMemory } from './resume-memory.js'
import { createRun, type EngineContext, type Run } from './run.js'
import { makeRunDir, removeRunDir } from './run-dir.js'
import { newestLines, readLogTail } from './run-logs.js'
import { pathInQemu, runPathsOf, type RunPaths } from './run-paths.js'
import { startFailure } from './start-failure.js'
import { watchChild, watchConnection } from './watch.js'
import { exists } from '../system/exists.js'

/**
 * Starts a node: its files are looked at, QEMU is started with the guest held, must answer over QMP as this node, is
 * put on record, and only then the guest runs. On failure only our own child is ended, its folder is removed, and the
 * EngineError has QEMU's last lines: `broken`, `locked`, `no-space`, `no-capacity`, `unsupported`, `timeout`, `engine`.
 */
export async function launchNode(context: EngineContext, spec: NodeSpec): Promise<Run> {
  const { version, accelerator } = await context.host.ready()
  const paths = runPathsOf(context.layout, spec.id)
  context.housing.requireReachable(spec)
  await Promise.all([
    requireUsableFiles(context, spec),
    requireVacant(context, paths, spec.id),
    requireEgress(context, spec),
  ])
  const user = context.host.withAccelerator(await context.userOf(spec.id), accelerator)
  const drives = await dataDiskFault(context.layout, spec, user)
  if (drives !== undefined) throw new EngineError('broken', drives)
  const told = qemuArguments({
    spec,
    accelerator,
    qemuVersion: version,
    paths: {
      images: pathInQemu(context.dataDir, context.layout.images),
      overlays: pathInQemu(context.dataDir, context.layout.overlays),
      own: (path) => pathInQemu(context.dataDir, path),
      io: pathInQemu(context.dataDir, paths.io),
      seed: spec.seed ? pathInQemu(context.dataDir, paths.seed) : null,
      uefi: await prepareFirmware(context, spec),
    },
  })
  const { args, links } = linkDisks(context, paths, spec, told)
  const launch: LaunchRecord = {
    version: 1,
    id: spec.id,
    generation: spec.generation,
    accelerator,
    qemuVersion: version.text,
    startedAt: new Date().toISOString(),
    bootId: context.bootId,
    process: null,
    contained: false,
    stopAsked: false,
    held: false,
    agentDue: spec.resume !== undefined && spec.agent === true,
    saving: null,
    waits: spec.resume?.hold === true,
    ended: null,
    args,
  }
  await requireFittingMemory(context, spec, args)
  await giveFiles(context, spec, user)
  await makeRunDir(paths, spec.seed, user)
  for (const { node, file } of links) await pointNode(context, paths, node, file)
  await writeLaunchRecord(paths.launch, launch)
  return runUntilReady(context, createRun(paths, launch, null), { user, spec, loading: false })
}

/** Never silently without, never silently unsafe. */
async function requireEgress(context: EngineContext, spec: NodeSpec): Promise<void> {
  if (!wantsInternet(spec)) return
  const { internet } = await context.housing.isolation()
  if (!internet.ok) throw new EngineError('unsupported', internet.reason)
}

async function requireUsableFiles(context: EngineContext, spec: NodeSpec): Promise<void> {
  const fault = await diskFault(context.layout, spec)
  if (fault !== undefined) throw new EngineError('broken', fault)
  const boot = spec.directBoot
  for (const file of boot ? [boot.kernel, ...(boot.initrd === null ? [] : [boot.initrd])] : []) {
    await access(imageFile(context.layout, file)).catch((cause: unknown) => {
      throw new EngineError('broken', `Its boot file ${file} is missing in images/.`, { cause })
    })
  }
}

/**
 * A QEMU that we know nothing of may still be at this place: its sockets are not taken from under it. Only looked for
 * when the folder of an earlier run does not say that the run has ended.
 */
async function requireVacant(context: EngineContext, paths: RunPaths, id: NodeId): Promise<void> {
  if ((await readLaunchRecord(paths.launch))?.ended || !(await exists(paths.dir))) return
  const stranger = await context.housing.findStranger(id)
  if (stranger !== undefined) throw new EngineError('locked', stranger)
}

interface Circumstances extends QemuStart {
  /** Its saved memory is being loaded: what fails now is told as that. */
  loading: boolean
}

async function runUntilReady(context: EngineContext, run: Run, circumstances: Circumstances): Promise<Run> {
  const starting = await context.housing.start(run, circumstances).catch(async (error: unknown) => {
    await removeRunDir(run.paths)
    throw error
  })
  context.live.set(run.id, run)
  try {
    await Promise.race([ready(context, run, starting, circumstances), starting.failed])
    if (context.closed.aborted) run.qmp?.close() // it runs; the next backend finds it
    return run
  } catch (error) {
    run.ending = true
    run.qmp?.close()
    const isMemoryAtFault = circumstances.loading && (await mayBeMemory(context, starting, error))
    await starting.end()
    context.live.delete(run.id)
    const log = newestLines((await readLogTail(run.paths.qemuLog, 16 * 1024)).toString('utf8'), 5)
    await removeRunDir(run.paths)
    if (isMemoryAtFault) throw badMemory(log || 'QEMU ended.', error)
    throw startFailure(error, log)
  } finally {
    await starting.release()
  }
}

/** Not when somebody else ended QEMU while it loaded: the memory may well be good, and is tried again. */
async function mayBeMemory(context: EngineContext, starting: StartingQemu, error: unknown): Promise<boolean> {
  if (context.closed.aborted || (error instanceof EngineError && error.retry)) return false
  return starting.fellByItself()
}

/** QMP answers as this node, the record names the process, the guest runs. */
async function ready(
  context: EngineContext,
  run: Run,
  starting: StartingQemu,
  circumstances: Circumstances,
): Promise<void> {
  const { disks, resume } = circumstances.spec
  const [client] = await Promise.all([answering(context, run), starting.takeDown()])
  for (const limits of throttles(disks, circumstances.spec.devices)) await client.run('block_set_io_throttle', limits)
  await starting.openInternet()
  if (resume) {
    circumstances.loading = true
    await loadMemory(context, run, client, resume.memoryFile)
  }
  watchConnection(context, run)
  if (run.child) watchChild(context, run)
  if (resume?.hold) return observe(context, run, client)
  await Promise.all([client.run('cont'), observe(context, run, client)]) // answered in this order
  if (run.launch.agentDue) void catchUp(context, run)
}

async function answering(context: EngineContext, run: Run) {
  const deadline = performance.now() + context.timings.qmpReady
  for (let tries = 0; !run.ending; tries++) {
    try {
      return await attachQmp(context, run)
    } catch (error) {
      // Silent: on a busy machine its first answer takes longer than any later one.
      if (!(error instanceof QmpError) || !['absent', 'silent'].includes(error.failure)) throw error
      if (performance.now() > deadline) throw new EngineError('timeout', 'QEMU did not answer in time.')
    }
    await delay(tries < 50 ? 2 : 20)
  }
  throw new EngineError('engine', 'QEMU ended before it answered.')
}
