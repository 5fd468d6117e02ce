import { formatDuration } from '../domain/units.js'
import type { Io } from './io.js'
import { drawStage, percent, type Stage } from './progress-bar.js'
import { oneLine, paint } from './text.js'

/**
 * Something is going on: a live line on a terminal; piped, a plain line for each change of words, and one now and then
 * with the figures. Always on standard error.
 */
export interface Progress {
  update(stage: Stage): void
  /** A line that stays, above the live one. */
  note(text: string): void
  /** Ends with the outcome; the time is added when it took longer than 2 s. */
  succeed(text: string): void
  fail(text: string): void
  /** Removes the live line and says nothing. */
  clear(): void
}

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']
const FRAME_MS = 100
const QUIET_MS = 2000
/** Piped: so that a log shows that a long copy is still moving. */
const SAY_AGAIN_MS = 15_000

export function startProgress(io: Io, first: string): Progress {
  return io.stderr.isTTY ? liveLine(io, first) : plainLines(io, first)
}

function liveLine(io: Io, first: string): Progress {
  const startedAt = Date.now()
  let stage: Stage = { words: first }
  let frame = 0
  const draw = () => {
    frame = (frame + 1) % FRAMES.length
    const elapsed = Math.floor((Date.now() - startedAt) / 1000)
    const figures = [...(stage.figures ?? []), ...(elapsed >= 1 ? [`${elapsed} s`] : [])]
    const line = drawStage(io, { ...stage, words: oneLine(stage.words), figures }, (io.stderr.columns || 80) - 3)
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
      stage = next
    },
    note: (text) => void io.stderr.write(`\r\u001B[2K${text}\n`),
    succeed: (words) => end(paint(io, io.stderr, 'green', '✓'), words),
    fail: (words) => end(paint(io, io.stderr, 'red', '✗'), words),
    clear,
  }
}

function plainLines(io: Io, first: string): Progress {
  const startedAt = Date.now()
  let last = ''
  let saidAt = startedAt
  const say = (text: string) => {
    io.stderr.write(`${oneLine(text)}\n`)
    saidAt = Date.now()
  }
  const sayOnce = (words: string) => {
    if (words !== last) say(words)
    last = words
  }
  sayOnce(first)
  return {
    update({ words, share, figures = [] }) {
      const far = [...(share === null || share === undefined ? [] : [percent(share)]), ...figures]
      if (words === last && far.length > 0 && Date.now() - saidAt >= SAY_AGAIN_MS) say([words, ...far].join(' · '))
      sayOnce(words)
    },
    note: say,
    succeed: (words) => sayOnce(`${words}${timeTaken(startedAt)}`),
    fail: (words) => sayOnce(`${words}${timeTaken(startedAt)}`),
    clear: () => undefined,
  }
}

function timeTaken(startedAt: number): string {
  const taken = Date.now() - startedAt
  return taken > QUIET_MS ? ` (${formatDuration(taken)})` : ''
}
