import { describe, expect, it } from '@jest/globals'
import { sampleSpaceReport } from '../../test/storage-samples.js'
import { overcommitWords, shareWords, spaceParts } from './space-parts.js'

const GIB = 1024 ** 3

describe('the parts of the disk', () => {
  it('add up to the whole disk, with what is not the lab’s told apart', () => {
    const space = sampleSpaceReport()
    const parts = spaceParts(space)
    expect(parts.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(100 * GIB)
    expect(parts.map(({ key }) => key)).toEqual([
      'nodes',
      'drives',
      'snapshots',
      'images',
      'trash',
      'orphans',
      'other',
      'free',
    ])
    expect(parts.at(-1)).toMatchObject({ key: 'free', bytes: 40 * GIB })
  })

  it('are left out when they hold nothing, but free room always stands', () => {
    const space = sampleSpaceReport({
      fileSystems: [{ path: '/data', totalBytes: GIB, freeBytes: 0, reservedBytes: 0 }],
      nodes: [],
      snapshots: [],
      images: [],
      trashBytes: 0,
      orphanBytes: 0,
    })
    expect(spaceParts(space).map(({ key }) => key)).toEqual(['other', 'free'])
  })

  it('never count less than nothing beside the lab’s own files', () => {
    const space = sampleSpaceReport({
      fileSystems: [{ path: '/data', totalBytes: 10 * GIB, freeBytes: 9 * GIB, reservedBytes: 0 }],
    })
    expect(spaceParts(space).some(({ bytes }) => bytes < 0)).toBe(false)
  })
})

describe('overcommit in words', () => {
  it('is calm while all disks would fit', () => {
    expect(overcommitWords(0.4)).toMatchObject({ tone: 'well', text: expect.stringContaining('take 40 % of the room') })
  })

  it('says what happens when they would not', () => {
    expect(overcommitWords(3.25)).toMatchObject({ tone: 'warn', text: expect.stringContaining('3.3 times the room') })
  })
})

describe('a share of the disk', () => {
  it.each([
    [0, '0 %'],
    [1, '< 0.1 %'],
    [GIB, '1.0 %'],
    [28 * GIB, '28 %'],
  ])('%d bytes of 100 GiB read %s', (bytes, words) => {
    expect(shareWords(bytes, 100 * GIB)).toBe(words)
  })
})
