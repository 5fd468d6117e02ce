import { describe, expect, it } from '@jest/globals'
import type { TrashView } from '../domain/trash.js'
import { ageOf } from './storage-views.js'
import { pickTrash } from './trash-commands.js'
import { shortestIds } from './trash-views.js'

describe('an age', () => {
  const now = Date.parse('2026-11-21T12:00:00Z')
  it.each([
    ['2026-11-21T11:59:30Z', 'less than a minute'],
    ['2026-11-21T11:58:00Z', '2 minutes'],
    ['2026-11-21T11:00:00Z', '1 hour'],
    ['2026-11-01T12:00:00Z', '20 days'],
    ['2026-11-22T12:00:00Z', 'less than a minute'],
  ])('of what was changed at %s is %s', (at, words) => {
    expect(ageOf(at, now)).toBe(words)
  })
})

describe('ids of the trash', () => {
  it('are as short as tells them apart, and whole for programs', () => {
    const entries = [{ id: '2026-11-21T10_a' }, { id: '2026-11-21T11_b' }]
    expect([...shortestIds(entries, true).values()]).toEqual(['2026-11-21T10', '2026-11-21T11'])
    expect([...shortestIds(entries, false).values()]).toEqual(['2026-11-21T10_a', '2026-11-21T11_b'])
    expect(shortestIds([], true).size).toBe(0)
    expect([...shortestIds([{ id: 'ab' }], true).values()]).toEqual(['ab'])
  })
})

describe('what of the trash a word means', () => {
  const entry = (id: string, nodeName: string | null, reason: TrashView['reason']): TrashView => ({
    id,
    at: '2026-11-21T07:42:10.000Z',
    purgedAt: null,
    reason,
    title: `node ${nodeName ?? '?'}`,
    ownerId: null,
    ownerLogin: 'anna',
    actorLogin: 'anna',
    operationId: null,
    nodeName,
    usedBytes: 1,
    files: [],
    refusal: null,
  })
  const entries = [entry('2026-1', 'web', 'reset'), entry('2026-2', 'web', 'deleted'), entry('2025-3', 'db', 'reset')]
  const picked = (text: string) => pickTrash(entries, text).map(({ id }) => id)

  it('is the deleted node of that name rather than its former disks, else all that fits', () => {
    expect(picked('web')).toEqual(['2026-2'])
    expect(picked('anna/db')).toEqual(['2025-3'])
    expect(pickTrash([entry('a', 'web', 'reset'), entry('b', 'web', 'reset')], 'web')).toHaveLength(2)
  })

  it('is an id or the beginning of one that is long enough', () => {
    expect(picked('2026-1')).toEqual(['2026-1'])
    expect(picked('2026')).toEqual(['2026-1', '2026-2'])
    expect(picked('202')).toEqual([])
    expect(picked('none')).toEqual([])
  })
})
