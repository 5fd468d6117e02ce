import { describe, expect, it } from '@jest/globals'
import { forReaders, localTime, oneLine, printable, wrap } from './text.js'

describe('text from others', () => {
  it.each([
    ['\u001B[2J\u001B[1;1Hroot@host:~# ', 'root@host:~# '],
    ['\u001B]0;a title\u0007x', 'x'],
    ['\u001B]52;c;Y2xpcGJvYXJk\u0007x', 'x'],
    ['a\u0008\u0008b\u0000c\u007Fd', 'abcd'],
    ['\u009B31mred', 'red'],
    ['grün ✓ 日本', 'grün ✓ 日本'],
    ['tab\tand\nline', 'tab\tand\nline'],
  ])('%j is printed as %j', (text, shown) => {
    expect(printable(text)).toBe(shown)
  })

  it('becomes one field of one line', () => {
    expect(oneLine('a\tb\r\n\nc')).toBe('a b c')
  })
})

describe('wrap', () => {
  it('breaks between words, and leaves a word that is too long whole', () => {
    expect(wrap('one two three', 7)).toEqual(['one two', 'three'])
    expect(wrap('/a/very/long/path is it', 8)).toEqual(['/a/very/long/path', 'is it'])
    expect(wrap('short', 80)).toEqual(['short'])
  })
})

describe('localTime', () => {
  it('is empty for never and passes on what is no time', () => {
    expect(localTime(null)).toBe('')
    expect(localTime('soon')).toBe('soon')
    expect(localTime('2026-11-21T07:42:10.000Z')).toMatch(/^2026-11-2[012] \d\d:\d\d:10$/)
  })
})

describe('a sentence of the server', () => {
  it('tells instants in the time of the reader', () => {
    const at = '2026-11-21T07:42:10.123Z'
    expect(forReaders(`moves to the trash, last written ${at}`)).toBe(
      `moves to the trash, last written ${localTime(at)}`,
    )
  })
})
