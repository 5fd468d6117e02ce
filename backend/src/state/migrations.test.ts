import { expect, it } from '@jest/globals'
import { MIGRATIONS, migrate, type Migration } from './migrations.js'
import { emptyState, labStateSchema, STATE_SCHEMA } from '../domain/state.js'
import { imageRecord, nodeRecord, uuidOf } from '../../test/state/fixtures/records.js'

const steps: Migration[] = [
  { from: 1, title: 'two', apply: (data) => ({ ...Object(data), two: true }) },
  { from: 2, title: 'three', apply: (data) => ({ ...Object(data), three: true }) },
]

it('applies each step from the schema that it finds', () => {
  expect(migrate({}, 1, 3, steps)).toEqual({ two: true, three: true })
  expect(migrate({}, 2, 3, steps)).toEqual({ three: true })
  expect(migrate({}, 3, 3, steps)).toEqual({})
})

it('says which step is missing', () => {
  expect(() => migrate({}, 0, 3, steps)).toThrow('there is no way from schema 0 to 1')
})

it('has a released step for every schema after the first', () => {
  expect(MIGRATIONS.map((migration) => migration.from)).toEqual(
    Array.from({ length: STATE_SCHEMA - 1 }, (_, index) => index + 1),
  )
})

it('makes snapshots of the layers that had a name', () => {
  const { rootDrive: _r, drives: _d, drivesChangedAt: _c, snapshotSchedule: _s, ...node } = nodeRecord(1)
  const layer = {
    id: uuidOf(2),
    file: `layer_${uuidOf(2)}.qcow2`,
    nodeId: node.id,
    imageId: 'tiny',
    base: node.base,
    backing: { kind: 'image' },
    diskBytes: node.diskBytes,
    sizeBytes: 196_608,
    mtimeMs: 1,
    createdAt: node.createdAt,
    operationId: uuidOf(4),
  }
  const layers = [
    { ...layer, name: 'before-exam' },
    { ...layer, id: uuidOf(3), name: null },
  ]
  const migrated = migrate({ nodes: [node], images: [imageRecord()], layers, operations: [] }, 2, 3, MIGRATIONS)
  const { nodes, layers: after, snapshots, settings } = labStateSchema.parse(migrated)
  expect(nodes[0]).toEqual(nodeRecord(1))
  expect(after.map(({ id, driveId }) => [id, driveId])).toEqual([
    [uuidOf(2), 'root'],
    [uuidOf(3), 'root'],
  ])
  expect(snapshots.map(({ name, nodeId, disks }) => ({ name, nodeId, disks }))).toEqual([
    { name: 'before-exam', nodeId: node.id, disks: [{ driveId: 'root', layerId: uuidOf(2) }] },
  ])
  expect(settings).toEqual([expect.objectContaining({ id: 'lab', trashDays: 7 })])
})

it('says of each node that it is not suspended, and leaves its choices to the lab', () => {
  const { suspended: _s, onStop: _o, recording: _r, keyboard: _k, ...node } = nodeRecord(1)
  const state = { ...emptyState(), nodes: [node], images: [imageRecord()] }
  expect(labStateSchema.parse(migrate(state, 3, 4, MIGRATIONS))).toEqual({ ...state, nodes: [nodeRecord(1)] })
})
