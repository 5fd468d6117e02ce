import { describe, expect, it } from '@jest/globals'
import type { OperationItem } from '@domain/operation.js'
import { sampleOperation } from '../../test/samples.js'
import { byteWords, endingWords, itemWords, progressOf, stepsOf, tookWords } from './facts.js'

const items = (...states: OperationItem['state'][]): OperationItem[] =>
  states.map((state, index) => ({ name: `web-${index}`, id: null, state, error: null }))

describe('what is said about an operation', () => {
  it('counts what is done, failed and taken back, of many only', () => {
    expect(itemWords(items('succeeded', 'failed', 'undone', 'waiting'))).toBe('1 of 4 done, 1 failed, 1 taken back')
    expect(itemWords(items('succeeded'))).toBeNull()
  })

  it('knows how far it is from its items when the server does not say', () => {
    expect(
      progressOf(sampleOperation({ progress: null, items: items('succeeded', 'failed', 'waiting', 'running') })),
    ).toBe(0.5)
    expect(progressOf(sampleOperation({ progress: 0.2, items: items('succeeded', 'succeeded') }))).toBe(0.2)
    expect(progressOf(sampleOperation({ progress: null }))).toBeNull()
  })

  it('shows bytes with their total when it is known', () => {
    expect(byteWords(sampleOperation({ bytesDone: 1024 ** 3, bytesTotal: null }))).toBe('1.0 GiB')
    expect(byteWords(sampleOperation({ bytesDone: null }))).toBeNull()
  })

  it('says once that all was taken back', () => {
    const failed = { state: 'failed', endedAt: '2026-11-21T08:00:30.000Z', outcome: 'rolled-back' }
    const error = { code: 'no_space', message: 'The disk is full.', hint: 'Free 2 GiB.' }
    expect(endingWords(sampleOperation({ ...failed, error }))).toBe(
      'The disk is full. Free 2 GiB. All of it was taken back.',
    )
    const told = { code: 'internal', message: 'It ended. All of it was taken back.' }
    expect(endingWords(sampleOperation({ ...failed, error: told }))).toBe('It ended. All of it was taken back.')
  })

  it('gives each step the time until the next one, or until the end', () => {
    const at = (second: number) => `2026-11-21T08:00:0${second}.000Z`
    const log = [
      { at: at(0), text: 'Freezing' },
      { at: at(2), text: 'Copying' },
    ]
    expect(stepsOf({ log, endedAt: null }).map(({ tookMs }) => tookMs)).toEqual([2000, null])
    expect(stepsOf({ log, endedAt: at(5) }).map(({ tookMs }) => tookMs)).toEqual([2000, 3000])
  })

  it('tells short times exactly and long ones in minutes', () => {
    const startedAt = '2026-11-21T08:00:00.000Z'
    expect(tookWords({ startedAt, endedAt: '2026-11-21T08:00:00.400Z' }, 0)).toBe('400 ms')
    expect(tookWords({ startedAt, endedAt: '2026-11-21T08:00:30.000Z' }, 0)).toBe('30 s')
    expect(tookWords({ startedAt, endedAt: null }, Date.parse(startedAt) + 65_000)).toBe('1 min')
  })
})
