import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { NodeId } from '../domain/ids.js'
import type { Layout } from '../domain/layout.js'
import { runCommand } from '../system/command.js'
import { readQcow2Header } from '../system/qcow2.js'
import { EngineError } from './engine.js'
import type { LiveDisks, SnapshotRequest, SnapshotResult } from './engine-disks.js'
import type { FakeAgents } from './fake-agent.js'
import type { FakeFreezer } from './fake-freeze.js'
import type { FakeFaults } from './fake-faults.js'
import { isAlive, requireAlive, requireKnown, type FakeMachines } from './fake-machine.js'
import type { Jobs } from './jobs.js'
import { dropMemory, filesProgress, goBack, goForward, inOverlays, nameLayers, stageFresh } from './snapshot-files.js'

interface FakeDisksWorld {
  machines: FakeMachines
  faults: FakeFaults
  freezer: FakeFreezer
  jobs: Jobs
  /** Without it there are no files. */
  layout: Layout | undefined
  agents: FakeAgents
}

const MERGE_TIMEOUT_MS = 60_000

/** Snapshots and merges of guests that write nothing: the same files in the same order as the process engine's. */
export function createFakeDisks(world: FakeDisksWorld): Omit<LiveDisks, 'freezeDisk'> {
  const { machines, faults, freezer, jobs } = world
  const layoutOf = () => {
    if (world.layout) return world.layout
    throw new EngineError('unsupported', 'A fake engine without files has no disks.')
  }
  return {
    snapshotDisks: async (id, request) =>
      jobs.run(`snapshot ${id}`, request.key, () => takeSnapshot(world, layoutOf(), id, request)).wait(),
    async snapshotState(id, request) {
      await faults.meet('snapshotState')
      const layout = layoutOf()
      if (isAlive(machines.of(id))) requireKnown(machines.of(id))
      const progress = await filesProgress(layout, request.disks)
      if (progress === 'none') {
        await goBack(layout, request)
        return 'none'
      }
      if (progress === 'perhaps') await dropMemory(layout, request.memoryFile)
      await goForward(layout, request.disks)
      return 'done'
    },
    async mergeDown(id, { driveId, onto, signal, onProgress }) {
      const layout = layoutOf()
      requireKnown(requireAlive(machines.of(id)))
      freezer.requireThawed(id)
      await faults.meet('mergeDown')
      signal.throwIfAborted()
      const spec = requireAlive(machines.of(id)).spec
      const file = spec?.disks.find((disk) => disk.id === driveId)?.file
      if (file === undefined) throw new EngineError('not-found', `The node runs without a drive ${driveId}.`)
      const { backingFile, virtualSizeBytes } = await readQcow2Header(inOverlays(layout, file))
      onProgress(0, virtualSizeBytes)
      if (backingFile !== onto) {
        const target = onto === null ? ['-b', ''] : ['-b', onto, '-F', 'qcow2']
        await runCommand('qemu-img', ['rebase', '-f', 'qcow2', ...target, file], {
          cwd: layout.overlays,
          timeoutMs: MERGE_TIMEOUT_MS,
        })
      }
      onProgress(virtualSizeBytes, virtualSizeBytes)
    },
  }
}

async function takeSnapshot(
  { machines, faults, freezer, agents }: FakeDisksWorld,
  layout: Layout,
  id: NodeId,
  request: SnapshotRequest,
): Promise<SnapshotResult> {
  requireKnown(requireAlive(machines.of(id)))
  freezer.requireThawed(id)
  if (request.freeze) agents.requireAnswering(id)
  await stageFresh(layout, request.disks)
  try {
    if (request.freeze) agents.freeze(id)
    await faults.meet('snapshotDisks')
    requireAlive(machines.of(id))
    if (request.memoryFile !== undefined) {
      const path = inOverlays(layout, request.memoryFile)
      await mkdir(dirname(path), { recursive: true })
      await writeFile(path, `the memory of ${id}\n`, { mode: 0o600, flag: 'wx' })
    }
    await nameLayers(layout, request.disks)
  } catch (error) {
    await goBack(layout, request)
    throw error
  } finally {
    agents.thaw(id)
  }
  await goForward(layout, request.disks)
  const frozen = request.freeze === true
  return { qemuVersion: 'fake', machine: 'fake', pauseMs: 0, frozen, frozenMs: frozen ? 0 : null }
}
