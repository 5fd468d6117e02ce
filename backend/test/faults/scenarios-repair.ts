import { rm } from 'node:fs/promises'
import { createDriveSchema } from '../../src/domain/drive.js'
import type { NodeRecord } from '../../src/domain/node.js'
import type { LabState } from '../../src/domain/state.js'
import { writeQcow2Overlay } from '../../src/system/qcow2-overlay.js'
import { ACTOR, idOf, type Rooms } from './rooms.js'
import type { Scenario } from './scenarios.js'

const MIB = 1024 ** 2
const RIGHTS = { mayRestore: () => true }

const alphaIn = (data: Readonly<LabState>) => data.nodes.find(({ name }) => name === 'alpha')
const lostDrive = (node: NodeRecord | undefined) => node?.drives.find(({ id }) => id === 'lost')

/** Its history tells, since the record of a drive is the same before and after. */
const isRepaired = (node: NodeRecord | undefined) =>
  node?.events.some(({ text }) => text.includes('repaired') && text.includes(lostDrive(node)?.file ?? '?')) === true

/** A drive of alpha whose file somebody has removed. */
async function loseDrive(rooms: Rooms): Promise<void> {
  const { disks, store, layout } = rooms
  const id = idOf(rooms, 'alpha')
  const last = lostDrive(alphaIn(store.data))
  if (last) {
    const path = `${layout.overlays}/${last.file}`
    await rm(path, { force: true })
    await writeQcow2Overlay(path, { backingFile: null, virtualSizeBytes: last.sizeBytes })
    await disks.drives.delete(id, 'lost', true, ACTOR)
  }
  const request = createDriveSchema.parse({ id: 'lost', sizeBytes: 16 * MIB })
  await disks.drives.create(id, request, ACTOR, { manageStorage: false, mayTakeFrom: () => false })
  const file = lostDrive(alphaIn(store.data))?.file
  if (file === undefined) throw new Error('there is no drive to lose')
  await rm(`${layout.overlays}/${file}`)
}

/** What is put right after a verification. */
export const REPAIRS: readonly Scenario[] = [
  {
    name: 'repair-drive',
    kinds: ['storage.repair'],
    ready: loseDrive,
    async act(rooms) {
      const nodeId = alphaIn(rooms.store.data)?.id
      const path = `/overlays/${lostDrive(alphaIn(rooms.store.data))?.file ?? ''}`
      const operation = await rooms.disks.repairs.begin({ nodeId, repair: 'recreate-drive', path }, ACTOR, RIGHTS)
      await rooms.operations.ended(operation.id)
    },
    state: (data) => (isRepaired(alphaIn(data)) ? 'after' : 'before'),
    files({ data, files }) {
      const alpha = alphaIn(data)
      const isThere = files.has(`overlays/${lostDrive(alpha)?.file ?? ''}`)
      if (!lostDrive(alpha) || isThere === isRepaired(alpha)) return null
      return isThere ? 'the drive is there, and nobody has repaired it' : 'the repaired drive is not there'
    },
  },
]
