import { describe, expect, it } from '@jest/globals'
import { isQcode, keysForText } from './keymap.js'

const PRINTABLE = Array.from({ length: 0x7f - 0x20 }, (_, n) => String.fromCharCode(0x20 + n)).join('')

describe('typing', () => {
  it('knows a stroke of real keys for every printable ASCII character', () => {
    const strokes = keysForText(PRINTABLE)
    expect(strokes).toHaveLength(95)
    expect(strokes.flat().every((key) => isQcode(key))).toBe(true)
    expect(new Set(strokes.map((keys) => keys.join('+'))).size).toBe(95)
  })

  it('holds shift for what needs it', () => {
    expect(keysForText('Aa!1_-|')).toEqual([
      ['shift', 'a'],
      ['a'],
      ['shift', '1'],
      ['1'],
      ['shift', 'minus'],
      ['minus'],
      ['shift', 'backslash'],
    ])
  })

  it('presses Enter once for each kind of line end', () => {
    expect(keysForText('a\r\nb\nc\r\t')).toEqual([['a'], ['ret'], ['b'], ['ret'], ['c'], ['ret'], ['tab']])
  })

  it.each(['ä', 'before €', '😀', '\u0000', '\u001b'])(
    'refuses %j as a whole, because a US keyboard has no such key',
    (text) => {
      expect(() => keysForText(text)).toThrow(expect.objectContaining({ code: 'unsupported' }))
    },
  )

  it.each(['ctrl', 'alt', 'delete', 'f12', 'kp_0', 'z', '9'])('knows the key %s', (key) => {
    expect(isQcode(key)).toBe(true)
  })
  it.each(['', 'f13', 'A', 'ctrl-alt', 'constructor', 'quit'])('does not know the key %j', (key) => {
    expect(isQcode(key)).toBe(false)
  })
})
