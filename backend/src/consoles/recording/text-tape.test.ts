import { afterAll, describe, expect, it } from '@jest/globals'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RecordingCut } from '../../domain/recording.js'
import { createTextTape, type TextTapeOptions } from './text-tape.js'

const folder = await mkdtemp(join(tmpdir(), 'sbx-tape-'))
afterAll(() => rm(folder, { recursive: true, force: true }))

let count = 0
function newTape(parts: Partial<TextTapeOptions> = {}) {
  const file = join(folder, `${(count += 1)}.cast`)
  const clock = { ms: 5000 }
  const cuts: RecordingCut[] = []
  const startedAt = new Date('2026-11-21T08:00:00Z')
  const rules = { maxBytes: 1e6, onCut: (cut: RecordingCut) => void cuts.push(cut), nowMs: () => clock.ms }
  const tape = createTextTape({ file, title: 'web', startedAt, ...rules, ...parts })
  const lines = async () => {
    await tape.end()
    const text = await readFile(file, 'utf8')
    return text
      .trimEnd()
      .split('\n')
      .map((line): unknown => JSON.parse(line))
  }
  return { tape, file, clock, cuts, lines }
}

describe('a recorded terminal', () => {
  it('is asciicast v2: a head, then what was shown, when', async () => {
    const { tape, clock, file, lines } = newTape()
    tape.output(Buffer.from('login: '))
    clock.ms += 1500
    tape.resized({ columns: 100, rows: 30 })
    tape.resized({ columns: 100, rows: 30 })
    tape.mark('ada came')
    clock.ms += 0.25
    tape.output(Buffer.from('\u001B[1mWelcome\u001B[0m\r\n'))
    expect(await lines()).toEqual([
      {
        version: 2,
        width: 80,
        height: 24,
        timestamp: 1_795_248_000,
        title: 'web',
        env: { TERM: 'xterm-256color' },
      },
      [0, 'o', 'login: '],
      [1.5, 'r', '100x30'],
      [1.5, 'm', 'ada came'],
      [1.50025, 'o', '\u001B[1mWelcome\u001B[0m\r\n'],
    ])
    expect((await stat(file)).mode & 0o777).toBe(0o600)
  })

  it('keeps a character whole that came in two pieces, and says what is no text', async () => {
    const { tape, lines } = newTape()
    const euro = Buffer.from('€')
    tape.output(euro.subarray(0, 1))
    tape.output(euro.subarray(1))
    tape.output(Buffer.from([0xff, 0xe2]))
    expect((await lines()).slice(1)).toEqual([
      [0, 'o', '€'],
      [0, 'o', '\u{FFFD}'],
      [0, 'o', '\u{FFFD}'],
    ])
  })

  it('ends at its largest size, with whole lines, and says so once', async () => {
    const { tape, file, cuts, lines } = newTape({ maxBytes: 400 })
    for (let at = 0; at < 50; at += 1) tape.output(Buffer.from('x'.repeat(20)))
    const written = await lines()
    expect(cuts).toEqual(['too-large'])
    expect(written.length).toBeGreaterThan(5)
    expect((await stat(file)).size).toBeLessThanOrEqual(400)
  })

  it('never writes over a file, and fails without harm', async () => {
    const file = join(folder, 'taken.cast')
    await writeFile(file, 'somebody else')
    const { tape, cuts } = newTape({ file })
    await tape.end()
    expect(cuts).toEqual(['failed'])
    expect(await readFile(file, 'utf8')).toBe('somebody else')
  })
})
