import { describe, expect, it } from '@jest/globals'
import { parseCast } from './cast.js'
import { clockWords } from './playback.js'
import { createTextPlayback } from './text-playback.js'

const cast = parseCast(
  [
    { version: 2, width: 80, height: 24 },
    [1, 'o', 'one '],
    [2, 'o', 'two '],
    [3, 'r', '100x30'],
    [4, 'o', 'three '],
    [10, 'm', 'ada left'],
  ]
    .map((line) => JSON.stringify(line))
    .join('\n'),
)

/** A terminal that knows what it shows, and a clock that goes by hand. */
function played() {
  const shown = { text: '', size: '' }
  const clock = { ms: 0, tick: (): void => undefined, running: false }
  const display = {
    write(text: string) {
      shown.text = text.includes('\u001Bc') ? '' : shown.text + text
    },
    resize: (columns: number, rows: number) => void (shown.size = `${columns}x${rows}`),
  }
  const playback = createTextPlayback(cast, display, () => undefined, {
    now: () => clock.ms,
    setInterval(then) {
      clock.tick = then
      clock.running = true
      return 1
    },
    clearInterval: () => void (clock.running = false),
  })
  const pass = (ms: number) => {
    clock.ms += ms
    if (clock.running) clock.tick()
  }
  return { playback, shown, clock, pass }
}

describe('the replay of a terminal', () => {
  it('shows each thing at its time, faster when asked, and stops at the end', () => {
    const { playback, shown, clock, pass } = played()
    expect(shown).toEqual({ text: '', size: '80x24' })
    playback.play()
    pass(1500)
    expect(shown.text).toBe('one ')
    playback.setSpeed(4)
    pass(500)
    expect(shown).toEqual({ text: 'one two ', size: '100x30' })
    pass(5000)
    expect(shown.text).toBe('one two three ')
    expect([playback.position, playback.isPlaying, clock.running]).toEqual([10, false, false])
    playback.play()
    expect(playback.position).toBe(0)
  })

  it('goes to any moment, forwards and back, with the size of that moment', () => {
    const { playback, shown } = played()
    playback.seek(4)
    expect(shown).toEqual({ text: 'one two three ', size: '100x30' })
    playback.seek(1.5)
    expect(shown).toEqual({ text: 'one ', size: '80x24' })
    playback.seek(99)
    expect(playback.position).toBe(10)
    playback.seek(-1)
    expect([playback.position, shown.text]).toEqual([0, ''])
  })

  it('stands still while it is paused', () => {
    const { playback, pass, shown } = played()
    playback.play()
    playback.pause()
    pass(5000)
    expect([playback.position, shown.text, playback.isPlaying]).toEqual([0, '', false])
  })
})

describe('a moment of a recording', () => {
  it('is told as a clock', () => {
    expect([7, 723, 3723, -1].map(clockWords)).toEqual(['0:07', '12:03', '1:02:03', '0:00'])
  })
})
