import { describe, expect, it } from '@jest/globals'
import { inOrder, withoutRoom, withoutTime, type Waiting } from './on-stop-plan.js'

const node = (id: string, bytes: number, usedAt = 0): Waiting => ({ id, bytes, usedAt })
const ids = (nodes: readonly Waiting[]) => nodes.map(({ id }) => id).join(' ')

describe('who is saved when SandLabX is told to end', () => {
  it('begins with what was used last', () => {
    expect(ids(inOrder([node('idle', 1, 10), node('used', 1, 30), node('between', 1, 20)]))).toBe('used between idle')
  })

  it('gives up the longest idle ones for want of room, and lets a small one in where a large one does not fit', () => {
    const ordered = [node('used', 100), node('large', 300), node('small', 50), node('idle', 100)]
    expect(ids(withoutRoom(ordered, 200))).toBe('large idle')
    expect(withoutRoom(ordered, 550)).toEqual([])
    expect(ids(withoutRoom(ordered, 0))).toBe('used large small idle')
  })

  it('gives up the longest idle ones for want of time, by what was measured', () => {
    const queue = [node('used', 100), node('between', 100), node('idle', 100)]
    expect(withoutTime(queue, { bytesPerMs: 0, leftMs: 1000 })).toEqual([])
    expect(withoutTime(queue, { bytesPerMs: 1, leftMs: 375 })).toEqual([])
    expect(ids(withoutTime(queue, { bytesPerMs: 1, leftMs: 374 }))).toBe('idle')
    expect(ids(withoutTime(queue, { bytesPerMs: 1, leftMs: 100 }))).toBe('used between idle')
    expect(ids(withoutTime(queue, { bytesPerMs: 1000, leftMs: 0 }))).toBe('used between idle')
  })
})
