import { describe, expect, it } from '@jest/globals'
import { createScreenInstructions } from './screen-instructions.js'

const of = (...elements: string[]) => `${elements.map((one) => `${one.length}.${one}`).join(',')};`

describe('a recorded screen', () => {
  it('has the pictures and their times, and nothing of the connection', () => {
    const { shown } = createScreenInstructions()
    const kept = [
      of('size', '0', '1024', '768'),
      of('img', '1', '12', '0', 'image/png', '0', '0'),
      of('blob', '1', 'iVBORw0KGgo='),
      of('end', '1'),
      of('sync', '1795248000123'),
    ]
    for (const instruction of kept) expect(shown(instruction)).toBe(instruction)
    for (const left of [of('', 'id'), of('nop'), of('ready', '$x'), of('error', 'gone', '519')]) {
      expect(shown(left)).toBe('')
    }
  })

  it('leaves the guest’s clipboard out, however its pieces lie between pictures', () => {
    const { shown } = createScreenInstructions()
    const secret = [of('clipboard', '2', 'text/plain'), of('blob', '2', 'c2VjcmV0'), of('end', '2')]
    const picture = [of('img', '1', '12', '0', 'image/png', '0', '0'), of('blob', '1', 'aaaa'), of('end', '1')]
    const told = [
      secret[0],
      picture[0],
      secret[1],
      picture[1],
      secret[2],
      picture[2],
      of('img', '2', '12'),
      of('blob', '2', 'b'),
    ]
    const kept = told.map((one) => shown(one ?? '')).join('')
    expect(kept).toBe([...picture, of('img', '2', '12'), of('blob', '2', 'b')].join(''))
  })

  it('has where the pointer was, and never a key or the viewer’s clipboard', () => {
    const { pointed } = createScreenInstructions()
    const key = of('key', '65293', '1')
    const typed = key + of('mouse', '10', '200', '1') + of('key', '112', '0') + of('mouse', '11', '201', '0')
    expect(pointed(typed)).toBe(of('mouse', '10', '200', '1') + of('mouse', '11', '201', '0'))
    const dragged = of('mouse', '1', '2', '1') + of('mouse', '3', '4', '1')
    expect(pointed(dragged)).toBe(dragged)
    expect(pointed(key + of('clipboard', '0', 'text/plain') + of('blob', '0', 'cGFzcw=='))).toBe('')
    // Not even where what was typed looks like a pointer: it stands inside an element, never at the start of one.
    expect(pointed(of('blob', '0', '5.mouse,2.10,2.10,1.0'))).toBe('')
  })
})
