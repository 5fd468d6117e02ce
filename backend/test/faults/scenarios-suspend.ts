import { nodeIdSchema } from '../../src/domain/ids.js'
import type { LabState } from '../../src/domain/state.js'
import { ACTOR, idOf, type Rooms } from './rooms.js'
import type { Scenario } from './scenarios.js'

const alphaIn = (data: Readonly<LabState>) => data.nodes.find(({ name }) => name === 'alpha')
const isSuspended = (data: Readonly<LabState>) => (alphaIn(data)?.suspended ?? null) !== null

async function haveRunning(rooms: Rooms): Promise<void> {
  const { phase } = await rooms.engine.inspect(nodeIdSchema.parse(idOf(rooms, 'alpha')))
  if (phase !== 'running') await rooms.nodes.start(idOf(rooms, 'alpha'), ACTOR)
}

async function haveSuspended(rooms: Rooms): Promise<void> {
  if (isSuspended(rooms.store.data)) return
  await haveRunning(rooms)
  await rooms.nodes.suspend(idOf(rooms, 'alpha'), 'asked', ACTOR)
}

/** Alpha's memory, saved, used and put aside. */
export const SUSPENDS: readonly Scenario[] = [
  {
    name: 'suspend',
    kinds: ['node.suspend'],
    ready: haveRunning,
    act: async (rooms) => void (await rooms.nodes.suspend(idOf(rooms, 'alpha'), 'asked', ACTOR)),
    state: (data) => (isSuspended(data) ? 'after' : 'before'),
  },
  {
    name: 'resume',
    kinds: ['node.resume'],
    ready: haveSuspended,
    act: async (rooms) => void (await rooms.nodes.start(idOf(rooms, 'alpha'), ACTOR)),
    state: (data) => (isSuspended(data) ? 'before' : 'after'),
  },
  {
    name: 'discard-memory',
    kinds: ['node.discardMemory'],
    ready: haveSuspended,
    act: async (rooms) => void (await rooms.nodes.discardMemory(idOf(rooms, 'alpha'), ACTOR)),
    state: (data) => (isSuspended(data) ? 'before' : 'after'),
    files({ data, files }) {
      const kept = [...files].some((file) => /^overlays\/\.trash\/.*\/suspended_.*\.bin$/.test(file))
      return isSuspended(data) || kept ? null : 'the memory is not in the trash'
    },
  },
]
