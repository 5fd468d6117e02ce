import { describe, expect, it } from '@jest/globals'
import { freezeLists, freezeTree, produce } from './draft.js'

interface Item {
  id: number
  name: string
  tags: string[]
  deep: { value: number; note?: string | undefined }
}
interface Tree {
  items: Item[]
  others: Item[]
}

const item = (id: number): Item => ({ id, name: `item ${id}`, tags: ['a'], deep: { value: id } })
const tree = (): Tree => freezeTree({ items: [0, 1, 2, 3].map(item), others: [item(9)] })

/** Applies a change to a draft and, beside it, to a real copy: both must end the same. */
function both(base: Tree, change: (draft: Tree) => void): Tree {
  const plain = structuredClone(base)
  change(plain)
  const { next } = produce(base, change)
  freezeLists(next)
  expect(next).toEqual(plain)
  expect(JSON.stringify(next)).toBe(JSON.stringify(plain))
  return next
}

function expectFrozen(value: unknown): void {
  if (typeof value !== 'object' || value === null) return
  expect(Object.isFrozen(value)).toBe(true)
  for (const child of Object.values(value)) expectFrozen(child)
}

describe('produce', () => {
  it.each<[string, (draft: Tree) => void]>([
    ['a field of a found item', (d) => void (d.items.find((i) => i.id === 2)!.name = 'x')],
    ['a field deep inside', (d) => void (d.items[1]!.deep.value += 5)],
    ['push', (d) => void d.items.push(item(7), item(8))],
    ['pop and shift', (d) => void (d.items.pop(), d.items.shift())],
    ['unshift', (d) => void d.items.unshift(item(7))],
    ['splice', (d) => void d.items.splice(1, 2, item(5))],
    ['length', (d) => void (d.items.length = 1)],
    // Sorting in place is what is tried here.
    // oxlint-disable-next-line unicorn/no-array-sort, unicorn/no-array-reverse
    ['sort and reverse', (d) => void (d.items.sort((a, b) => b.id - a.id), d.others.reverse())],
    ['filter out', (d) => void (d.items = d.items.filter((i) => i.id !== 1))],
    ['filter, then change what was found', (d) => d.items.filter((i) => i.id > 1).forEach((i) => (i.name = 'y'))],
    ['map to new items', (d) => void (d.items = d.items.map((i) => (i.id === 1 ? { ...i, name: 'z' } : i)))],
    [
      'for of',
      (d) => {
        for (const i of d.items) i.deep.value = 0
      },
    ],
    ['spread', (d) => void (d.items = [item(5), ...d.items])],
    [
      'move an item to the other list, then change it',
      (d) => {
        const moved = d.items.splice(0, 1)[0]!
        d.others.push(moved)
        moved.tags.push('moved')
      },
    ],
    ['swap', (d) => void ([d.items[0], d.items[3]] = [d.items[3]!, d.items[0]!])],
    [
      'delete and set a property',
      (d) => {
        d.items[0]!.deep.note = 'n'
        delete d.items[0]!.deep.note
        d.items[1]!.deep.note = 'm'
      },
    ],
    [
      'change a new item after it was put in',
      (d) => {
        d.items.push(item(6))
        d.items.at(-1)!.name = 'late'
        d.items[4]!.tags.push('b')
      },
    ],
    ['Object.assign and tags', (d) => void Object.assign(d.items[2]!, { name: 'q', tags: [...d.items[2]!.tags, 'r'] })],
    [
      'find with index, some, every, findIndex',
      (d) => {
        if (d.items.some((i) => i.id === 3) && !d.items.every((i) => i.id === 3))
          d.items[d.items.findIndex((i) => i.id === 3)]!.name = 's'
      },
    ],
    [
      'indexOf and includes of a draft',
      (d) => {
        const found = d.items.find((i) => i.id === 2)!
        if (d.items.includes(found)) d.items.splice(d.items.indexOf(found), 1)
      },
    ],
  ])('does to a draft what it does to a plain copy: %s', (_, change) => {
    const base = tree()
    const before = structuredClone(base)
    expectFrozen(both(base, change))
    expect(base).toEqual(before)
  })

  it('has the other methods of a list', () => {
    produce(tree(), (d) => {
      expect(Object.prototype.toString.call(d.items)).toBe('[object Array]')
      expect(d.items[0]!.tags.toString()).toBe('a')
      expect(d.items.map((i) => i.id).join()).toBe('0,1,2,3')
      expect(d.items.constructor).toBe(Array)
      expect('length' in d.items && Object.keys(d.items)).toEqual(['0', '1', '2', '3'])
    })
  })

  it('shares every part that did not change', () => {
    const base = tree()
    const next = both(base, (d) => void (d.items.find((i) => i.id === 2)!.name = 'x'))
    expect(next.others).toBe(base.others)
    expect(next.items[1]).toBe(base.items[1])
    expect(next.items[2]!.tags).toBe(base.items[2]!.tags)
    expect(next.items[2]).not.toBe(base.items[2])
  })

  it('gives back the same tree when nothing was changed', () => {
    const base = tree()
    expect(produce(base, (d) => d.items.map((i) => i.tags.length)).next).toBe(base)
    expect(produce(base, (d) => void (d.items[0]!.name = 'item 0')).next).toBe(base)
  })

  it('leaves no trace of a change that throws', () => {
    const base = tree()
    const change = (d: Tree) => {
      d.items[0]!.name = 'half'
      d.others.push(item(5))
      throw new Error('no')
    }
    expect(() => produce(base, change)).toThrow('no')
    expect(base).toEqual(tree())
  })

  it('answers with plain values where the change returned drafts', () => {
    const { next, result } = produce(tree(), (d) => {
      const first = d.items[0]!
      first.name = 'new'
      return { first, all: [...d.items], count: d.items.length }
    })
    expect(result.first).toBe(next.items[0])
    expect(result.all).toEqual(next.items)
    expectFrozen(result.first)
    expect(() => structuredClone(result)).not.toThrow() // a draft could not be cloned
  })

  it('keeps nothing of an object that the caller goes on changing', () => {
    const mine = item(7)
    const { next } = produce(tree(), (d) => void d.items.push(mine, Object.freeze(item(8))))
    mine.name = 'changed later'
    mine.tags.push('later')
    expect(next.items[4]).toEqual(item(7))
    expectFrozen(next.items[5])
  })

  it('does not take a frozen object for one that can not change inside', () => {
    const mine = Object.freeze(item(7))
    const { next } = produce(tree(), (d) => {
      d.items.push(mine)
      d.items[4]!.tags.push('b')
    })
    mine.deep.value = 99
    mine.tags.push('c')
    expect(next.items[4]).toEqual({ ...item(7), tags: ['a', 'b'] })
    expectFrozen(next.items[4])
  })

  it('keeps what earlier changes of the same commit made', () => {
    const base = tree()
    const first = produce(base, (d) => void (d.items[0]!.name = 'one')).next
    const second = produce(first, (d) => void (d.items.length > 0 && d.others.push(item(5)))).next
    expect(second.items).toBe(first.items)
    const third = produce(second, (d) => void (d.items[1]!.name = 'two')).next
    expect(third.items[0]).toBe(first.items[0])
    expect(first.items[1]!.name).toBe('item 1')
    expectFrozen(freezeLists(third))
  })

  it('refuses a draft that is changed after its change, an asynchronous change, and what JSON has no form for', () => {
    let kept: Item | undefined
    const { next } = produce(tree(), (d) => void ((kept = d.items[0]), d.items.pop()))
    expect(() => (kept!.name = 'late')).toThrow(TypeError)
    expect(next.items[0]!.name).toBe('item 0')
    expect(() => produce(tree(), async (d) => void d.items.pop())).toThrow(/synchronous/)
    for (const bad of [new Date(), new Map(), () => 1, 1n]) {
      expect(() => produce(tree(), (d) => void (d.items[0]!.name = bad as never))).toThrow(/JSON/)
    }
  })
})
