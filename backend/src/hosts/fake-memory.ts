import { readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import type { NodeId } from '../domain/ids.js'
import type { Layout } from '../domain/layout.js'
import { EngineError, type NodeEngine, type NodeSpec, type SuspendResult } from './engine.js'
import type { FakeFaults } from './fake-faults.js'
import type { FakeFreezer } from './fake-freeze.js'
import { isAlive, requireAlive, requireKnown, type FakeMachines } from './fake-machine.js'
import { engineErrorOf, type Jobs } from './jobs.js'
import { inOverlays, partOf } from './snapshot-files.js'

interface FakeMemoryWorld {
  machines: FakeMachines
  faults: FakeFaults
  freezer: FakeFreezer
  jobs: Jobs
  /** Without it there are no files. */
  layout: Layout | undefined
}

/** What a fake guest remembers. */
export const fakeMemory = (id: NodeId) => `the memory of ${id}\n`

/** The same files in the same order as the process engine's, and the same refusals. */
export function createFakeMemory(world: FakeMemoryWorld): Pick<NodeEngine, 'suspend' | 'suspendState' | 'standStill'> {
  const { machines, faults, jobs } = world
  return {
    suspend: (id, { key, memoryFile }) => jobs.run(`suspend ${id}`, key, () => suspend(world, id, memoryFile)),
    async standStill(id) {
      await faults.meet('standStill')
      requireKnown(requireAlive(machines.of(id)))
    },
    async suspendState(id, { memoryFile }) {
      await faults.meet('suspendState')
      const path = inOverlays(requireLayout(world), memoryFile)
      await rm(partOf(path), { force: true })
      if (!isAlive(machines.of(id))) return (await lengthOf(path)) === undefined ? 'none' : 'done'
      requireKnown(machines.of(id))
      await rm(path, { force: true })
      return 'none'
    },
  }
}

async function suspend(world: FakeMemoryWorld, id: NodeId, memoryFile: string): Promise<SuspendResult> {
  const { machines, faults, freezer } = world
  const path = inOverlays(requireLayout(world), memoryFile)
  const machine = machines.of(id)
  const saved = isAlive(machine) ? undefined : await lengthOf(path)
  if (saved !== undefined) return { node: machine.node, sizeBytes: saved }
  requireKnown(requireAlive(machine))
  freezer.requireThawed(id)
  if (machine.node.phase !== 'running') throw new EngineError('conflict', 'Its guest does not run at this moment.')
  try {
    await faults.meet('suspend')
    requireAlive(machine)
    await writeFile(partOf(path), fakeMemory(id), { mode: 0o600, flag: 'wx' })
    await rename(partOf(path), path)
  } catch (error) {
    await rm(partOf(path), { force: true })
    throw engineErrorOf(error)
  }
  machines.end(machine, 'asked', 'It was suspended: its memory is kept.')
  return { node: machine.node, sizeBytes: fakeMemory(id).length }
}

/** Throws `bad-memory` for a file that is missing, damaged, or another node's. */
export async function requireFakeMemory(layout: Layout | undefined, spec: NodeSpec): Promise<void> {
  if (!spec.resume) return
  const text = layout && (await readFile(inOverlays(layout, spec.resume.memoryFile), 'utf8').catch(() => undefined))
  if (text === undefined) throw new EngineError('bad-memory', 'Its memory is missing.')
  if (text !== fakeMemory(spec.id)) throw new EngineError('bad-memory', 'Its memory is damaged.')
}

function requireLayout({ layout }: FakeMemoryWorld): Layout {
  if (layout) return layout
  throw new EngineError('unsupported', 'A fake engine without files keeps no memory.')
}

function lengthOf(path: string): Promise<number | undefined> {
  return stat(path).then(
    ({ size }) => size,
    () => undefined,
  )
}
