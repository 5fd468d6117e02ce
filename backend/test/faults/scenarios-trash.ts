import type { LabState } from '../../src/domain/state.js'
import { createNodeSchema } from '../../src/domain/node.js'
import { createSnapshotSchema, snapshotsOf } from '../../src/domain/snapshot.js'
import { ACTOR, idOf, type Rooms } from './rooms.js'
import type { Scenario } from './scenarios.js'

const named = (data: Readonly<LabState>, name: string) => data.nodes.find((node) => node.name === name)
/** What was last done to a node, by its history. */
const newest = (data: Readonly<LabState>, name: string) => named(data, name)?.events[0]?.text ?? ''

const HOW = { now: true, keepGoing: false }

async function reset(rooms: Rooms, names: readonly string[]): Promise<string> {
  const ids = names.map((name) => idOf(rooms, name))
  const { id } = await rooms.disks.reset.begin(ids, HOW, ACTOR)
  await rooms.operations.ended(id)
  return id
}

async function haveStopped(rooms: Rooms, names: readonly string[]): Promise<void> {
  for (const name of names) {
    if (!named(rooms.store.data, name)) {
      await rooms.nodes.create(createNodeSchema.parse({ name, image: 'empty' }), ACTOR)
    }
    const id = idOf(rooms, name)
    if (rooms.nodes.get(id).status === 'running') await rooms.nodes.stop(id, true, ACTOR)
  }
}

function resetting(name: string, nodes: readonly string[]): Scenario {
  const isReset = (data: Readonly<LabState>, node: string) => newest(data, node).startsWith('Reset to')
  return {
    name,
    kinds: ['node.reset'],
    async ready(rooms) {
      await haveStopped(rooms, nodes)
      for (const node of nodes) {
        // Something newer in its history, so that the next one shows.
        if (isReset(rooms.store.data, node)) await rooms.nodes.update(idOf(rooms, node), { internet: false }, ACTOR)
      }
    },
    act: async (rooms) => void (await reset(rooms, nodes)),
    state(data) {
      const done = nodes.filter((node) => isReset(data, node))
      if (done.length === 0) return 'before'
      return done.length === nodes.length ? 'after' : `only ${done.join(', ')} of ${nodes.length} nodes`
    },
    files({ data, files }) {
      const lost = nodes.filter((node) => !files.has(`overlays/node_${named(data, node)?.id}.qcow2`))
      return lost.length === 0 ? null : `the disk of ${lost.join(', ')} is gone`
    },
  }
}

const entries = (rooms: Rooms) => rooms.disks.trash.list()

/** A deleted node with a drive and a snapshot comes back. */
const RESTORE: Scenario = {
  name: 'trash-restore',
  kinds: ['trash.restore'],
  async ready(rooms) {
    if (!named(rooms.store.data, 'delta')) {
      const gone = (await entries(rooms)).some(({ node }) => node?.name === 'delta')
      if (gone) return
      await haveStopped(rooms, ['delta'])
      const request = createSnapshotSchema.parse({ name: 'kept' })
      await rooms.operations.ended((await rooms.disks.snapshots.create(idOf(rooms, 'delta'), request, ACTOR)).id)
    }
    await rooms.nodes.delete(idOf(rooms, 'delta'), true, ACTOR)
  },
  async act(rooms) {
    const entry = (await entries(rooms)).find(({ node }) => node?.name === 'delta')
    if (!entry) throw new Error('there is no delta in the trash')
    await rooms.operations.ended((await rooms.disks.trash.restore(entry, ACTOR)).id)
  },
  state(data) {
    const delta = named(data, 'delta')
    if (!delta) return 'before'
    return snapshotsOf(data, delta.id).length === 1 ? 'after' : 'delta is back without its snapshot'
  },
}

/** A former disk takes the place of the present one, which goes to the trash. */
const UNDO: Scenario = {
  name: 'undo-reset',
  kinds: ['trash.restore'],
  async ready(rooms) {
    await haveStopped(rooms, ['alpha'])
    await reset(rooms, ['alpha'])
  },
  async act(rooms) {
    const operation = rooms.operations.list().find(({ kind, state }) => kind === 'node.reset' && state === 'succeeded')
    if (!operation) throw new Error('there was no reset')
    const moved = await rooms.disks.trash.movedBy(operation)
    await rooms.operations.ended((await rooms.disks.trash.undo(operation, moved, ACTOR)).id)
  },
  state: (data) => (newest(data, 'alpha').startsWith('Undo:') ? 'after' : 'before'),
  files({ data, files }) {
    const disk = `overlays/node_${named(data, 'alpha')?.id}.qcow2`
    return files.has(disk) ? null : 'the disk of alpha is gone'
  },
}

/** The layers of snapshots stay as files that nobody's record names. */
const KEEP_SNAPSHOTS: Scenario = {
  name: 'delete-keep-snapshots',
  kinds: ['node.delete'],
  async ready(rooms) {
    if (named(rooms.store.data, 'epsilon')) return
    await haveStopped(rooms, ['epsilon'])
    for (const name of ['one', 'two']) {
      const request = createSnapshotSchema.parse({ name })
      await rooms.operations.ended((await rooms.disks.snapshots.create(idOf(rooms, 'epsilon'), request, ACTOR)).id)
    }
  },
  act: (rooms) => rooms.nodes.delete(idOf(rooms, 'epsilon'), true, ACTOR, true),
  state: (data) => (named(data, 'epsilon') ? 'before' : 'after'),
  files({ data, files }) {
    const layers = [...files].filter((file) => /^overlays\/layer_.*\.qcow2$/.test(file))
    return named(data, 'epsilon') || layers.length >= 2 ? null : `${layers.length} instead of 2 layers are kept`
  },
}

/** Reset, restore, undo, and a delete that spares snapshots. */
export const TRASH: readonly Scenario[] = [
  resetting('reset', ['alpha']),
  resetting('reset-many', ['alpha', 'beta', 'gamma']),
  RESTORE,
  UNDO,
  KEEP_SNAPSHOTS,
]
