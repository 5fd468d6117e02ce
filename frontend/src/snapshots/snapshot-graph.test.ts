import { describe, expect, it } from '@jest/globals'
import { sampleSnapshot } from '../../test/storage-samples.js'
import { type GraphRow, laneCount, snapshotGraph } from './snapshot-graph.js'

const at = (day: number) => `2026-11-${String(day).padStart(2, '0')}T08:00:00.000Z`
const snapshot = (id: string, parentId: string | null, day: number, current = false) =>
  sampleSnapshot({ id, name: id, parentId, createdAt: at(day), current })
const nameOf = (row: GraphRow) => (row.kind === 'snapshot' ? row.snapshot.name : row.kind)

describe('the picture of snapshots', () => {
  it('is one line while each stands on the one before', () => {
    const rows = snapshotGraph([snapshot('b', 'a', 2, true), snapshot('a', null, 1)])
    expect(rows.map(nameOf)).toEqual(['here', 'b', 'a', 'base'])
    expect(rows.map(({ lane }) => lane)).toEqual([0, 0, 0, 0])
    expect(laneCount(rows)).toBe(1)
    expect(rows[0]).toMatchObject({ fromAbove: false, goesOn: true })
    expect(rows.at(-1)).toMatchObject({ fromAbove: true, goesOn: false })
  })

  it('branches where the node went back, and the branch joins what both stand on', () => {
    const rows = snapshotGraph([snapshot('c', 'a', 3), snapshot('b', 'a', 2, true), snapshot('a', null, 1)])
    expect(rows.map((row) => [nameOf(row), row.lane])).toEqual([
      ['here', 0],
      ['c', 1],
      ['b', 0],
      ['a', 0],
      ['base', 0],
    ])
    expect(rows[3]).toMatchObject({ joins: [1] })
    expect(laneCount(rows)).toBe(2)
  })

  it('leads from here to the base image when the node was reset', () => {
    const rows = snapshotGraph([snapshot('a', null, 1)])
    expect(rows.map((row) => [nameOf(row), row.lane])).toEqual([
      ['here', 0],
      ['a', 1],
      ['base', 0],
    ])
    expect(rows[2]).toMatchObject({ joins: [1] })
  })

  it('keeps a parent below its child, also when both came in one moment', () => {
    const rows = snapshotGraph([snapshot('a', null, 1), snapshot('b', 'a', 1, true)])
    expect(rows.map(nameOf)).toEqual(['here', 'b', 'a', 'base'])
  })

  it('stands on the base image where a parent is gone, and survives a circle', () => {
    expect(snapshotGraph([snapshot('b', 'gone', 2, true)]).map(nameOf)).toEqual(['here', 'b', 'base'])
    expect(snapshotGraph([snapshot('a', 'b', 1), snapshot('b', 'a', 1)])).toHaveLength(4)
  })
})
