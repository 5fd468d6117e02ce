import { expect, it } from '@jest/globals'
import type { LabState } from '../domain/state.js'
import { recordFaults } from './record-faults.js'

const NOTHING = { nodes: [], images: [], layers: [], snapshots: [] }
/** Only what the rules read. */
const state = (parts: Record<string, object[]>) => ({ ...NOTHING, ...parts }) as unknown as LabState
const node = (name: string, more: object = {}) => ({
  id: name,
  name,
  mac: name,
  overlayFile: name,
  imageId: 'tiny',
  backing: { kind: 'image' },
  drives: [],
  ...more,
})
const layer = (id: string, backing: object) => ({
  id,
  file: id,
  nodeId: 'n',
  driveId: 'root',
  imageId: 'tiny',
  backing,
})
const tiny = { id: 'tiny', file: 'tiny.qcow2' }
const told = (parts: Record<string, object[]>) =>
  recordFaults(state(parts)).map((one) => `${one.subject}: ${one.message}`)

it('has nothing to say of records that agree', () => {
  const layers = [layer('l', { kind: 'image' })]
  const snapshots = [{ id: 's', nodeId: 'n', name: 's', disks: [{ driveId: 'root', layerId: 'l' }] }]
  const nodes = [node('n', { backing: { kind: 'layer', layerId: 'l' } })]
  expect(told({ nodes, images: [tiny], layers, snapshots })).toEqual([])
})

it('tells an image and layers that have no record', () => {
  expect(told({ nodes: [node('web')] })).toEqual(['node web: its base image tiny has no record'])
  const drives = [{ id: 'data', file: 'd', backing: { kind: 'layer', layerId: 'gone' } }]
  expect(told({ nodes: [node('web', { drives })], images: [tiny] })).toEqual([
    'node web: its drive data stands on the layer gone, which has no record',
  ])
  expect(told({ layers: [layer('l', { kind: 'layer', layerId: 'gone' })], images: [tiny] })).toEqual([
    'layer l: it stands on the layer gone, which has no record',
  ])
})

it('tells a snapshot without its layer', () => {
  const snapshots = [{ id: 's', nodeId: 'n', name: 'before', disks: [{ driveId: 'root', layerId: 'gone' }] }]
  expect(told({ snapshots })).toEqual(['snapshot before: the layer gone of its disk root has no record'])
})

it('tells layers that stand on each other in a ring', () => {
  const ring = [layer('a', { kind: 'layer', layerId: 'b' }), layer('b', { kind: 'layer', layerId: 'a' })]
  const nodes = [node('web', { backing: { kind: 'layer', layerId: 'a' } })]
  expect(told({ nodes, layers: ring, images: [tiny] })).toEqual([
    'node web: its root disk stands on the layer a, which has no record',
  ])
})

it('tells one disk file that two records name', () => {
  expect(told({ nodes: [node('a', { overlayFile: 'x' }), node('b', { overlayFile: 'x' })], images: [tiny] })).toEqual([
    'records: the disk file x is there more than once',
  ])
})
