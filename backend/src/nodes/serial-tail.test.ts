import { describe, expect, it } from '@jest/globals'
import { plainLines } from './serial-tail.js'

describe('the last serial lines', () => {
  it('come without colours, cursor moves, titles and carriage returns', () => {
    const text = '\u001b[1;32mok\u001b[0m\r\n\u001b]0;title\u0007second\u0008\r\n\r\nlogin: '
    expect(plainLines(text, 10)).toEqual(['ok', 'second', 'login:'])
  })

  it('are the newest, bounded in number and length', () => {
    expect(plainLines(`a\nb\n${'x'.repeat(1000)}`, 2)).toEqual(['b', 'x'.repeat(400)])
  })
})
