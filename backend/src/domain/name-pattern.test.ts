import { describe, expect, it } from '@jest/globals'
import { expandNames } from './name-pattern.js'

describe('names of many nodes', () => {
  it('count from 1, with as many digits as there are letters', () => {
    expect(expandNames('web-{n}', 3)).toEqual(['web-1', 'web-2', 'web-3'])
    expect(expandNames('{nn}-db', 11).slice(8)).toEqual(['09-db', '10-db', '11-db'])
    expect(expandNames('r{n}-w{nnn}', 2)).toEqual(['r1-w001', 'r2-w002'])
  })

  it('a single one may be a plain name', () => {
    expect(expandNames('web', 1)).toEqual(['web'])
    expect(expandNames('web-{n}', 1)).toEqual(['web-1'])
  })

  it.each([
    ['web', 2, 'would be given to 2 nodes'],
    ['web-{m}', 1, 'is no name for a node'],
    ['web-{m}', 2, 'would be given to 2 nodes'],
    [`${'a'.repeat(61)}{n}`, 1000, 'is no name for a node'],
    ['-{n}', 2, '"-1" is no name'],
  ])('refuses %s for %d', (pattern, count, words) => {
    expect(() => expandNames(pattern, count)).toThrow(words)
  })
})
