import { describe, expect, it } from '@jest/globals'
import { listFor, MOST_NODES, readNodeList } from './node-list.js'

const people = [
  { id: 'sam-id', login: 'sam.s' },
  { id: 'lea-id', login: 'lea' },
]
const read = (text: string) => readNodeList(text, people)
const faults = (text: string) => read(text).map((row) => row.faults.join(' | '))

describe('a list of nodes', () => {
  it('has a name, an owner and a guest’s user on each line; the last two may be absent', () => {
    expect(read('web-sam, sam.s, sam\r\n\r\n# the others\nweb-lea;lea\nspare')).toMatchObject([
      { line: 1, name: 'web-sam', owner: 'sam.s', ownerId: 'sam-id', guestUser: 'sam', faults: [] },
      { line: 4, name: 'web-lea', ownerId: 'lea-id', guestUser: '', faults: [] },
      { line: 5, name: 'spare', owner: '', ownerId: undefined, faults: [] },
    ])
  })

  it('follows the order that its first line names', () => {
    expect(read('\uFEFFLogin,Guest user,Name\nlea,admin,web-1')).toMatchObject([
      { line: 2, name: 'web-1', ownerId: 'lea-id', guestUser: 'admin' },
    ])
  })

  it('says of each line what is wrong with it', () => {
    expect(faults('Web_1')[0]).toMatch(/^Name: lower-case letters/)
    expect(faults(', lea')[0]).toBe('The name is missing')
    expect(faults('web-1, nobody')[0]).toMatch(/can’t create nodes for “nobody”/)
    expect(faults('web-1, lea, 9 lives')[0]).toMatch(/^Guest user: /)
  })

  it('sees the same name twice for one owner, and not for two', () => {
    expect(faults('web, lea\nweb, sam.s\nweb, lea')).toEqual(['', '', 'The same as line 1'])
  })

  it('is bounded', () => {
    const rows = read(Array.from({ length: MOST_NODES + 1 }, (_none, index) => `web-${index}`).join('\n'))
    expect(rows.filter((row) => row.faults.length > 0)).toHaveLength(1)
  })

  it('can be made for each person, and then has no faults', () => {
    expect(listFor(people, 'lab')).toBe('lab-sam-s, sam.s\nlab-lea, lea')
    expect(faults(listFor(people, 'lab'))).toEqual(['', ''])
  })
})
