import { describe, expect, it } from '@jest/globals'
import { nodeNameSchema } from '@domain/node.js'
import { hasNumber, nameForCount, nextName } from './name-pattern.js'

describe('names of clones', () => {
  it('count on from the number that a name ends in, and skip what is taken', () => {
    expect(nextName('web-07', new Set())).toBe('web-08')
    expect(nextName('web-09', new Set(['web-10']))).toBe('web-11')
    expect(nextName('db', new Set(['db-2']))).toBe('db-3')
    expect(nextName('debian12', new Set())).toBe('debian12-2')
  })

  it('stay names, however long the source’s is', () => {
    const name = nextName('a'.repeat(63), new Set())
    expect(nodeNameSchema.safeParse(name).success).toBe(true)
  })

  it('become a pattern for several and a name again for one', () => {
    expect(nameForCount('web-08', 3)).toBe('web-{n}')
    expect(nameForCount('web-{nn}', 3)).toBe('web-{nn}')
    expect(nameForCount('web-{nn}', 1)).toBe('web-01')
    expect(nameForCount('web', 1)).toBe('web')
    expect(hasNumber('web-{x}')).toBe(false)
  })
})
