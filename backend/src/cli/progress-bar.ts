import type { Io } from './io.js'
import { paint } from './text.js'

/** How far something is. */
export interface Stage {
  /** What is being done. */
  words: string
  /** 0 to 1; null while it can't be known. */
  share?: number | null
  /** Change all the time: `1.2 GiB of 3.0 GiB`, `210.0 MiB/s`. The last is the first to be left out. */
  figures?: string[]
}

const BAR_WIDTH = 20
/** Of the words: rather no bar, and rather fewer figures, than less. */
const LEAST_WORDS = 24

/** One line of at most `width` characters: `Clone web to web-2  ━━━━━━────────  42 %  1.2 GiB of 3.0 GiB  9 s left`. */
export function drawStage(io: Io, { words, share, figures = [] }: Stage, width: number): string {
  const known = share !== null && share !== undefined
  const all = known ? [percent(share), ...figures] : figures
  const shorter = all.map((_, dropped) => ({ hasBar: false, parts: all.slice(0, all.length - dropped) }))
  const layouts = [{ hasBar: known, parts: all }, { hasBar: known, parts: all.slice(0, -1) }, ...shorter]
  for (const { hasBar, parts } of layouts) {
    const room = width - parts.reduce((sum, part) => sum + part.length + 2, hasBar ? BAR_WIDTH + 2 : 0)
    if (room < Math.min(LEAST_WORDS, words.length)) continue
    return [fit(words, room), ...(hasBar ? [bar(io, share ?? 0)] : []), ...parts].join('  ')
  }
  return fit(words, width)
}

export function percent(share: number): string {
  return `${Math.floor(share * 100)} %`
}

function bar(io: Io, share: number): string {
  const done = Math.round(Math.min(1, Math.max(0, share)) * BAR_WIDTH)
  return paint(io, io.stderr, 'cyan', '━'.repeat(done)) + paint(io, io.stderr, 'dim', '─'.repeat(BAR_WIDTH - done))
}

function fit(text: string, width: number): string {
  const characters = Array.from(text)
  return characters.length <= width ? text : `${characters.slice(0, Math.max(1, width - 1)).join('')}…`
}
