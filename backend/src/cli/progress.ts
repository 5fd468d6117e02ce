import { formatDuration } from '../domain/units.js'
import type { Io } from './io.js'
import { oneLine, paint } from './text.js'

/** Something is going on: a live line on a terminal, a plain line per change when piped. Always on standard error. */
export interface Progress {
  update(text: string): void
  /** Ends with the outcome; the time is added when it took longer than 2 s. */
  succeed(text: string): void
  fail(text: string): void
  /** Removes the live line and says nothing. */
  clear(): void
}

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']
const FRAME_MS = 100
const QUIET_MS = 2000

export function startProgress(io: Io, first: string): Progress {
  return io.stderr.isTTY ? liveLine(io, first) : plainLines(io, first)
}

function liveLine(io: Io, first: string): Progress {
  const startedAt = Date.now()
  let text = first
  let frame = 0
  const draw = () => {
    frame = (frame + 1) % FRAMES.length
    const elapsed = Math.floor((Date.now() - startedAt) / 1000)
    const line = fit(`${oneLine(text)}${elapsed >= 1 ? ` · ${elapsed} s` : ''}`, (io.stderr.columns || 80) - 3)
    io.stderr.write(`\r\u001B[2K${paint(io, io.stderr, 'cyan', FRAMES[frame] ?? '')} ${line}`)
  }
  const timer = setInterval(draw, FRAME_MS)
  draw()
  const clear = () => {
    clearInterval(timer)
    io.stderr.write('\r\u001B[2K')
  }
  const end = (mark: string, words: string) => {
    clear()
    io.stderr.write(`${mark} ${oneLine(words)}${timeTaken(startedAt)}\n`)
  }
  return {
    update(next) {
      text = next
    },
    succeed: (words) => end(paint(io, io.stderr, 'green', '✓'), words),
    fail: (words) => end(paint(io, io.stderr, 'red', '✗'), words),
    clear,
  }
}

function plainLines(io: Io, first: string): Progress {
  const startedAt = Date.now()
  let last = ''
  const say = (text: string) => {
    const line = oneLine(text)
    if (line !== last) io.stderr.write(`${line}\n`)
    last = line
  }
  say(first)
  return {
    // Figures change too often for a log: a line is written when the words do.
    update: (text) => say(text.replace(/ · [\d.]+ (%|[KMGT]?i?B).*$/, '')),
    succeed: (words) => say(`${words}${timeTaken(startedAt)}`),
    fail: (words) => say(`${words}${timeTaken(startedAt)}`),
    clear: () => undefined,
  }
}

function timeTaken(startedAt: number): string {
  const taken = Date.now() - startedAt
  return taken > QUIET_MS ? ` (${formatDuration(taken)})` : ''
}

function fit(text: string, width: number): string {
  const characters = Array.from(text)
  return characters.length <= width ? text : `${characters.slice(0, Math.max(1, width - 1)).join('')}…`
}
