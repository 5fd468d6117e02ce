import { cloneNodeSchema, type NodeRecord } from '../../src/domain/node.js'
import { createDriveSchema, moveDriveSchema, updateDriveSchema, type DriveRecord } from '../../src/domain/drive.js'
import type { LabState } from '../../src/domain/state.js'
import type { DriveRights } from '../../src/disks/drives/drive-source.js'
import { runCommand } from '../../src/system/command.js'
import { ACTOR, idOf, type Rooms } from './rooms.js'
import type { Scenario } from './scenarios.js'

const MIB = 1024 ** 2
const SMALL = 16 * MIB
const LARGE = 3 * 1024 * MIB
const RIGHTS: DriveRights = { manageStorage: true, mayTakeFrom: () => true }

const nodeIn = (data: Readonly<LabState>, name: string): NodeRecord | undefined =>
  data.nodes.find((node) => node.name === name)
const driveIn = (data: Readonly<LabState>, name: string, id: string): DriveRecord | undefined =>
  nodeIn(data, name)?.drives.find((drive) => drive.id === id)

async function add({ disks, store }: Rooms, name: string, id: string, sizeBytes = SMALL): Promise<void> {
  const request = createDriveSchema.parse({ id, sizeBytes })
  await disks.drives.create(nodeIn(store.data, name)?.id ?? '', request, ACTOR, RIGHTS)
}

const drop = (rooms: Rooms, name: string, id: string, deleteStorage = true) =>
  rooms.disks.drives.delete(idOf(rooms, name), id, deleteStorage, ACTOR)

/** A drive that is there before, and not afterwards. */
function removing(name: string, id: string, deleteStorage: boolean, kept: RegExp): Scenario {
  return {
    name,
    kinds: ['drive.delete'],
    async ready(rooms) {
      if (!driveIn(rooms.store.data, 'alpha', id)) await add(rooms, 'alpha', id)
    },
    act: (rooms) => drop(rooms, 'alpha', id, deleteStorage),
    state: (data) => (driveIn(data, 'alpha', id) ? 'before' : 'after'),
    files({ data, files }) {
      if (driveIn(data, 'alpha', id)) return null
      return [...files].some((file) => kept.test(file)) ? null : 'the drive is neither kept nor in the trash'
    },
  }
}

/** Of alpha with a drive that holds something. */
function cloning(name: string, full: boolean): Scenario {
  const drives = (data: Readonly<LabState>) => nodeIn(data, 'copy')?.drives.length
  return {
    name,
    kinds: ['node.clone'],
    async ready(rooms) {
      const { store, layout, nodes } = rooms
      if (nodeIn(store.data, 'copy')) await nodes.delete(idOf(rooms, 'copy'), true, ACTOR)
      if (driveIn(store.data, 'alpha', 'used')) return
      await add(rooms, 'alpha', 'used')
      const path = `${layout.overlays}/${driveIn(store.data, 'alpha', 'used')?.file ?? ''}`
      await runCommand('qemu-io', ['-f', 'qcow2', '-c', 'write -q -P 66 1M 256k', path], { timeoutMs: 30_000 })
    },
    async act(rooms) {
      const asked = cloneNodeSchema.parse({ name: 'copy', full })
      const { operation } = await rooms.nodes.clone(idOf(rooms, 'alpha'), asked, ACTOR, { internet: true })
      await rooms.operations.ended(operation.id)
    },
    state(data) {
      if (!nodeIn(data, 'copy')) return 'before'
      return drives(data) === 1 ? 'after' : `a clone with ${drives(data)} drives instead of one`
    },
  }
}

/** What is done with further drives of nodes. */
export const DRIVES: readonly Scenario[] = [
  {
    name: 'drive-create',
    kinds: ['drive.create'],
    async ready(rooms) {
      if (driveIn(rooms.store.data, 'alpha', 'fresh')) await drop(rooms, 'alpha', 'fresh')
    },
    act: (rooms) => add(rooms, 'alpha', 'fresh'),
    state: (data) => (driveIn(data, 'alpha', 'fresh') ? 'after' : 'before'),
  },
  {
    name: 'drive-grow',
    kinds: ['drive.update'],
    async ready(rooms) {
      const { data } = rooms.store
      if (driveIn(data, 'alpha', 'grown')?.sizeBytes === LARGE) await drop(rooms, 'alpha', 'grown')
      if (!driveIn(rooms.store.data, 'alpha', 'grown')) await add(rooms, 'alpha', 'grown')
    },
    async act(rooms) {
      const request = updateDriveSchema.parse({ sizeBytes: LARGE, cache: 'none' })
      await rooms.disks.drives.update(idOf(rooms, 'alpha'), 'grown', request, ACTOR)
    },
    state(data) {
      const { sizeBytes, cache } = driveIn(data, 'alpha', 'grown') ?? {}
      if (sizeBytes === LARGE && cache === 'none') return 'after'
      return sizeBytes === SMALL && cache === 'writeback' ? 'before' : `${sizeBytes} bytes with the cache ${cache}`
    },
  },
  removing('drive-keep', 'kept', false, /^overlays\/drive_.*\.json$/),
  removing('drive-trash', 'thrown', true, /^overlays\/\.trash\/[^/]+\/drive_.*\.qcow2$/),
  {
    name: 'drive-move',
    kinds: ['drive.move'],
    async ready(rooms) {
      if (driveIn(rooms.store.data, 'beta', 'moved')) await drop(rooms, 'beta', 'moved')
      if (!driveIn(rooms.store.data, 'alpha', 'moved')) await add(rooms, 'alpha', 'moved')
    },
    async act(rooms) {
      const request = moveDriveSchema.parse({ toNodeId: idOf(rooms, 'beta') })
      await rooms.disks.drives.move(idOf(rooms, 'alpha'), 'moved', request, ACTOR)
    },
    state(data) {
      const [here, there] = [driveIn(data, 'alpha', 'moved'), driveIn(data, 'beta', 'moved')]
      if (here && there) return 'both nodes have the drive'
      return here ? 'before' : there ? 'after' : 'no node has the drive'
    },
  },
  cloning('clone-drives', false),
  cloning('clone-drives-full', true),
]
