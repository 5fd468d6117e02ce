import { describe, expect, it } from '@jest/globals'
import { parseSearch, readList, readOne, said, stringifySearch } from './address.js'

describe('the address', () => {
  it('is plain words that read back the same', () => {
    const search = { q: 'web 07', status: 'running,stopped', empty: '' }
    expect(stringifySearch(search)).toBe('?q=web+07&status=running,stopped')
    expect(parseSearch(stringifySearch(search))).toEqual({ q: 'web 07', status: 'running,stopped' })
  })

  it('drops what is not understood', () => {
    expect(readList('running,bogus,running', ['running', 'stopped'])).toEqual(['running'])
    expect(readList(undefined, ['running'])).toEqual([])
    expect(readOne('cards', ['table', 'cards'])).toBe('cards')
    expect(readOne('<script>', ['table', 'cards'])).toBeUndefined()
  })

  it('leaves out what was not said', () => {
    expect(said({ q: undefined, view: 'cards' })).toEqual({ view: 'cards' })
  })
})
