import { StringDecoder } from 'node:string_decoder'
import { createTapeFile, type TapeFileOptions } from './tape-file.js'

/** Writes what a terminal is shown, as asciicast v2 (docs.asciinema.org/manual/asciicast/v2). Nothing that is typed. */
export interface TextTape {
  output(bytes: Buffer): void
  /** From here on the terminal is that large. */
  resized(size: { columns: number; rows: number }): void
  /** A note in the course of time, that players show and do not draw. */
  mark(text: string): void
  /** Resolves when all of it is in the file. Never rejects. */
  end(): Promise<void>
}

export interface TextTapeOptions extends TapeFileOptions {
  title: string
  startedAt: Date
  /** Milliseconds that only go forward. */
  nowMs?: () => number
}

const SIZE = { columns: 80, rows: 24 }

export function createTextTape(options: TextTapeOptions): TextTape {
  const { title, startedAt, nowMs = () => performance.now() } = options
  const began = nowMs()
  const decoder = new StringDecoder('utf8') // a character that is cut in two is written once it is whole
  const file = createTapeFile(options)
  let size = SIZE

  const write = (line: unknown) => file.write(`${JSON.stringify(line)}\n`)

  function event(code: 'o' | 'r' | 'm', data: string): void {
    write([Math.round((nowMs() - began) * 1000) / 1_000_000, code, data])
  }

  write({
    version: 2,
    width: size.columns,
    height: size.rows,
    timestamp: Math.floor(startedAt.getTime() / 1000),
    title,
    env: { TERM: 'xterm-256color' },
  })
  return {
    output(chunk) {
      const text = decoder.write(chunk)
      if (text !== '') event('o', text)
    },
    resized({ columns, rows }) {
      if (columns === size.columns && rows === size.rows) return
      size = { columns, rows }
      event('r', `${columns}x${rows}`)
    },
    mark: (text) => event('m', text),
    end() {
      const rest = decoder.end()
      if (rest !== '') event('o', rest)
      return file.end()
    },
  }
}
