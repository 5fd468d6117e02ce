import { describe, expect, it } from '@jest/globals'
import { fromBoundary, replayOf, TERMINAL_RESET } from './serial-replay.js'

const replay = (history: Buffer, isCut: boolean) => replayOf(history, isCut).subarray(TERMINAL_RESET.length)

describe('serial replay', () => {
  it('begins with a terminal reset', () => {
    expect(replayOf(Buffer.from('x'), false).toString()).toBe('\u001bcx')
  })

  it('shows everything when nothing is missing', () => {
    expect(replay(Buffer.from('half a line\nwhole\n'), false).toString()).toBe('half a line\nwhole\n')
  })

  it('begins at a line where older output is missing', () => {
    expect(replay(Buffer.from('alf a line\nwhole\nlogin: '), true).toString()).toBe('whole\nlogin: ')
  })

  it('begins at a whole character when there is no line end in sight', () => {
    const text = Buffer.from(`${'é'.repeat(10)}€𝄞`)
    for (let cut = 0; cut < text.length; cut += 1) {
      expect(fromBoundary(text.subarray(cut)).toString()).not.toContain('\ufffd')
    }
  })

  it('keeps bytes that are no text at all', () => {
    const bytes = Buffer.from([...Array(256).keys()])
    expect(replay(bytes, false).equals(bytes)).toBe(true)
  })

  it('asks no questions: status, device and mode queries are left out, colours and titles stay', () => {
    const asked =
      '\u001b[31mred\u001b[0m\u001b[6n$ \u001b[c\u001b[>0c\u001b[=c\u001b[?6n\u001b[?2026$p\u001b]0;title\u0007end'
    expect(replay(Buffer.from(asked), false).toString()).toBe('\u001b[31mred\u001b[0m$ \u001b]0;title\u0007end')
  })
})
