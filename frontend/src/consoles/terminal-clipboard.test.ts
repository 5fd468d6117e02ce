import { describe, expect, it } from '@jest/globals'
import { isReleaseChord } from './release-chord.js'
import { isCopyKey, isFindKey, isPasteKey } from './terminal-clipboard.js'

const key = (code: string, ...held: ('ctrlKey' | 'shiftKey' | 'altKey' | 'metaKey')[]) => ({
  code,
  ctrlKey: held.includes('ctrlKey'),
  shiftKey: held.includes('shiftKey'),
  altKey: held.includes('altKey'),
  metaKey: held.includes('metaKey'),
})

describe('keys that are not the guest’s', () => {
  it('copies, pastes and finds with Ctrl+Shift, with ⌘ and with Insert', () => {
    expect(isCopyKey(key('KeyC', 'ctrlKey', 'shiftKey'))).toBe(true)
    expect(isCopyKey(key('KeyC', 'metaKey'))).toBe(true)
    expect(isCopyKey(key('Insert', 'ctrlKey'))).toBe(true)
    expect(isPasteKey(key('KeyV', 'ctrlKey', 'shiftKey'))).toBe(true)
    expect(isPasteKey(key('Insert', 'shiftKey'))).toBe(true)
    expect(isFindKey(key('KeyF', 'ctrlKey', 'shiftKey'))).toBe(true)
  })

  it('leaves every other chord to the guest, above all Ctrl+C, Ctrl+V, Ctrl+F and Esc', () => {
    const guests = [
      key('KeyC', 'ctrlKey'),
      key('KeyV', 'ctrlKey'),
      key('KeyF', 'ctrlKey'),
      key('Escape'),
      key('Insert'),
    ]
    for (const one of [...guests, key('KeyC', 'ctrlKey', 'shiftKey', 'altKey'), key('KeyC', 'altKey')]) {
      expect([isCopyKey(one), isPasteKey(one), isFindKey(one)]).toEqual([false, false, false])
    }
  })

  it('gives the keyboard back when Ctrl, Alt and Shift are held together, whichever comes last', () => {
    for (const last of ['Control', 'Alt', 'Shift']) {
      const event = { type: 'keydown', key: last, ctrlKey: true, altKey: true, shiftKey: true }
      expect(isReleaseChord(event)).toBe(true)
      expect(isReleaseChord({ ...event, type: 'keyup' })).toBe(false)
      expect(isReleaseChord({ ...event, altKey: false })).toBe(false)
    }
    expect(isReleaseChord({ type: 'keydown', key: 'T', ctrlKey: true, altKey: true, shiftKey: true })).toBe(false)
  })
})
