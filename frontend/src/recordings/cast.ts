/** One recorded terminal: asciicast v2, as the server writes it. */
export interface Cast {
  width: number
  height: number
  events: CastEvent[]
  durationSeconds: number
}

export type CastEvent =
  | { at: number; code: 'o'; data: string }
  | { at: number; code: 'r'; columns: number; rows: number }
  | { at: number; code: 'm'; data: string }

/** A place where a text was shown. */
export interface Found {
  /** When all of it was. */
  at: number
  /** The line that it is in, and where in it the text begins and ends. */
  line: string
  from: number
  to: number
}

const LONGEST_LINE = 200
const MAX_FOUND = 500

/** Throws when it is no recording at all; a line that can't be read, as the last one may be, is left out. */
export function parseCast(text: string): Cast {
  const [head = '', ...lines] = text.split('\n')
  const { version, width, height } = JSON.parse(head) as { version: unknown; width: unknown; height: unknown }
  if (version !== 2 || typeof width !== 'number' || typeof height !== 'number') throw new Error('This is no asciicast.')
  const events = lines.flatMap((line) => eventOf(line) ?? [])
  return { width, height, events, durationSeconds: events.at(-1)?.at ?? 0 }
}

function eventOf(line: string): CastEvent | undefined {
  if (line === '') return undefined
  let parts: unknown
  try {
    parts = JSON.parse(line)
  } catch {
    return undefined
  }
  if (!Array.isArray(parts)) return undefined
  const [at, code, data] = parts as unknown[]
  if (typeof at !== 'number' || typeof data !== 'string') return undefined
  if (code === 'o' || code === 'm') return { at, code, data }
  const [columns, rows] = code === 'r' ? data.split('x').map(Number) : []
  return columns && rows ? { at, code: 'r', columns, rows } : undefined
}

/**
 * Where the terminal showed this, whatever colours it had and in whatever pieces it came; letters' case does not count.
 * What a program drew by jumping about the screen is found only where it lies in one piece.
 */
export function searchCast(cast: Cast, wanted: string): Found[] {
  const needle = wanted.toLowerCase()
  if (needle === '') return []
  const found: Found[] = []
  for (const { text, times } of linesOf(cast)) {
    const low = text.toLowerCase()
    for (let from = low.indexOf(needle); from >= 0 && found.length < MAX_FOUND; from = low.indexOf(needle, from + 1)) {
      const to = from + needle.length
      found.push({ at: times[to - 1] ?? 0, ...around(text, from, to) })
    }
  }
  return found
}

function around(text: string, from: number, to: number): Omit<Found, 'at'> {
  const start = text.length <= LONGEST_LINE ? 0 : Math.max(0, from - 60)
  return { line: text.slice(start, start + LONGEST_LINE), from: from - start, to: to - start }
}

interface Line {
  text: string
  /** When each letter came. */
  times: number[]
}

// CSI sequences, OSC and other strings, and two-letter escapes.
const ESCAPES =
  // oxlint-disable-next-line no-control-regex -- escape sequences begin with a control character
  /\u001B\[[0-?]*[ -/]*[@-~]|\u001B[\]PX^_][^\u0007\u001B]*(?:\u0007|\u001B\\)|\u001B[ -/]*(?![PX[\]^_])[0-~]/g

/** The output as lines of plain letters. A sequence may begin in one piece and end in the next. */
function linesOf({ events }: Cast): Line[] {
  const lines: Line[] = [{ text: '', times: [] }]
  let rest = ''
  for (const event of events) {
    if (event.code !== 'o') continue
    const whole = rest + event.data
    const cut = unfinishedAt(whole)
    rest = whole.slice(cut)
    for (const letter of whole.slice(0, cut).replaceAll(ESCAPES, '')) put(lines, letter, event.at)
  }
  return lines
}

/** Where an escape sequence begins that has not ended yet; the text's length when there is none. */
function unfinishedAt(text: string): number {
  const last = text.lastIndexOf('\u001B')
  if (last < 0 || text.length - last > 256) return text.length
  return text.slice(last).replace(ESCAPES, '').startsWith('\u001B') ? last : text.length
}

function put(lines: Line[], letter: string, at: number): void {
  const line = lines.at(-1)
  if (!line) return
  if (letter === '\n') lines.push({ text: '', times: [] })
  else if (letter === '\b') {
    line.text = line.text.slice(0, -1)
    line.times.pop()
  } else if (letter >= ' ' && letter !== '\u007F') {
    line.text += letter
    for (let unit = 0; unit < letter.length; unit += 1) line.times.push(at)
  }
}
