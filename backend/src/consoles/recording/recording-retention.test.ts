import { describe, expect, it } from '@jest/globals'
import { recordingSchema, type Recording } from '../../domain/recording.js'
import { overShare, tooOld } from './recording-retention.js'

const uuid = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`

const recording = (n: number, parts: { node?: number; size?: number; endedAt?: string | null } = {}): Recording =>
  recordingSchema.parse({
    id: uuid(n),
    nodeId: uuid(parts.node ?? 1),
    nodeName: 'web',
    ownerId: uuid(9),
    kind: 'serial',
    startedAt: '2026-11-01T08:00:00.000Z',
    endedAt: parts.endedAt === undefined ? '2026-11-01T09:00:00.000Z' : parts.endedAt,
    sizeBytes: parts.size ?? 10,
    cut: null,
    people: [],
  })

const ids = (some: readonly Recording[]) => some.map(({ id }) => Number(id.slice(-3)))

describe('what goes of the recordings by itself', () => {
  it('is what ended before the limit, never what goes on, and nothing without a limit', () => {
    const all = [recording(1), recording(2, { endedAt: '2026-11-20T09:00:00.000Z' }), recording(3, { endedAt: null })]
    expect(ids(tooOld(all, new Date('2026-11-10T00:00:00Z')))).toEqual([1])
    expect(tooOld(all, null)).toEqual([])
  })

  it('is the oldest of a node above its share, whatever other nodes have', () => {
    const newestFirst = [
      recording(1, { size: 60 }),
      recording(2, { node: 2, size: 90 }),
      recording(3, { size: 40 }),
      recording(4, { size: 1 }),
      recording(5, { node: 2, size: 20 }),
    ]
    expect(ids(overShare(newestFirst, 100))).toEqual([4, 5])
  })
})
