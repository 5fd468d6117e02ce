import { nodeIdSchema } from '../../src/domain/ids.js'
import { MAX_CHAIN_DEPTH } from '../../src/domain/layer.js'
import { createSnapshotSchema, restoreSnapshotSchema, snapshotsOf, snapshotUnder } from '../../src/domain/snapshot.js'
import type { LabState } from '../../src/domain/state.js'
import { ACTOR, idOf, type Rooms } from './rooms.js'
import type { Scenario } from './scenarios.js'

const alphaIn = (data: Readonly<LabState>) => data.nodes.find(({ name }) => name === 'alpha')

async function isRunning(rooms: Rooms): Promise<boolean> {
  return (await rooms.engine.inspect(nodeIdSchema.parse(idOf(rooms, 'alpha')))).phase === 'running'
}

const snapshotNamed = (data: Readonly<LabState>, name: string) =>
  data.snapshots.find((one) => one.name === name && one.nodeId === alphaIn(data)?.id)

const which = (rooms: Rooms, name: string) => ({
  id: idOf(rooms, 'alpha'),
  snapshotId: snapshotNamed(rooms.store.data, name)?.id ?? '',
})

/** Of alpha. */
async function takeSnapshot(rooms: Rooms, name: string): Promise<void> {
  const request = createSnapshotSchema.parse({ name })
  await rooms.operations.ended((await rooms.disks.snapshots.create(idOf(rooms, 'alpha'), request, ACTOR)).id)
}

async function dropSnapshot(rooms: Rooms, name: string): Promise<void> {
  await rooms.operations.ended((await rooms.disks.snapshots.delete(which(rooms, name), ACTOR)).id)
}

async function restoreTo(rooms: Rooms, name: string): Promise<void> {
  const request = restoreSnapshotSchema.parse({ now: true })
  const { id } = await rooms.disks.snapshots.restore(which(rooms, name), request, ACTOR)
  await rooms.operations.ended(id)
}

/** Alpha has exactly these, oldest first, each over the one before it. */
async function haveSnapshots(rooms: Rooms, names: readonly string[]): Promise<void> {
  const own = () => snapshotsOf(rooms.store.data, idOf(rooms, 'alpha')).map(({ name }) => name)
  if (own().join() === names.join()) return
  for (const name of own()) await dropSnapshot(rooms, name)
  for (const name of names) await takeSnapshot(rooms, name)
}

async function power(rooms: Rooms, running: boolean): Promise<void> {
  if ((await isRunning(rooms)) === running) return
  if (running) await rooms.nodes.start(idOf(rooms, 'alpha'), ACTOR)
  else await rooms.nodes.stop(idOf(rooms, 'alpha'), true, ACTOR)
}

function standsOn(data: Readonly<LabState>): string | undefined {
  const alpha = alphaIn(data)
  return alpha && snapshotUnder(data, alpha.id, alpha.backing)?.name
}

const KEPT = Array.from({ length: MAX_CHAIN_DEPTH }, (_, index) => `kept-${index + 1}`)

/** With `had` there, `gone` is deleted or `made` is taken. */
function snapshots(
  name: string,
  change: { had: readonly string[]; made?: string; gone?: string; running?: boolean; kinds?: readonly string[] },
): Scenario {
  const { had, made, gone, running = false } = change
  return {
    name,
    kinds: change.kinds ?? [made === undefined ? 'snapshot.delete' : 'snapshot.create'],
    async ready(rooms) {
      await power(rooms, false)
      await haveSnapshots(rooms, had)
      await power(rooms, running)
    },
    act: (rooms) => (made === undefined ? dropSnapshot(rooms, gone ?? '') : takeSnapshot(rooms, made)),
    state(data) {
      const changed = made === undefined ? !snapshotNamed(data, gone ?? '') : snapshotNamed(data, made) !== undefined
      return changed ? 'after' : 'before'
    },
  }
}

/** Snapshots of alpha, taken, deleted and restored. */
export const SNAPSHOTS: readonly Scenario[] = [
  snapshots('snapshot', { had: [], made: 'one' }),
  snapshots('snapshot-running', { had: [], made: 'one', running: true }),
  snapshots('snapshot-delete', { had: ['one'], gone: 'one' }),
  snapshots('snapshot-delete-running', { had: ['one'], gone: 'one', running: true }),
  snapshots('snapshot-delete-below', { had: ['one', 'two'], gone: 'one' }),
  snapshots('snapshot-deep', { had: KEPT, made: 'one-more', kinds: ['snapshot.flatten', 'snapshot.create'] }),
  {
    name: 'snapshot-restore',
    kinds: ['snapshot.restore'],
    async ready(rooms) {
      await power(rooms, false)
      await haveSnapshots(rooms, ['one', 'two'])
      if (standsOn(rooms.store.data) !== 'two') await restoreTo(rooms, 'two')
    },
    act: (rooms) => restoreTo(rooms, 'one'),
    state: (data) => (standsOn(data) === 'one' ? 'after' : 'before'),
  },
]
