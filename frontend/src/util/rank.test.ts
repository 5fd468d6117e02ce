import { describe, expect, it } from '@jest/globals'
import { rank } from './rank.js'

describe('rank', () => {
  it('asks for every word', () => {
    expect(rank('Start web-07', 'web start')).toBeGreaterThan(0)
    expect(rank('Start web-07', 'web stop')).toBe(0)
  })

  it('prefers beginnings, then beginnings of words, then short texts', () => {
    const order = ['web-07', 'web-07-with-a-long-name', 'lea-web', 'cobweb'].toSorted(
      (a, b) => rank(b, 'web') - rank(a, 'web'),
    )
    expect(order).toEqual(['web-07', 'web-07-with-a-long-name', 'lea-web', 'cobweb'])
  })

  it('keeps everything when nothing is typed', () => {
    expect(rank('anything', '  ')).toBe(1)
  })
})
