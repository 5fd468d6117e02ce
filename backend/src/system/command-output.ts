import type { ChildProcess } from 'node:child_process'
import { StringDecoder } from 'node:string_decoder'

const MAX_LINE_CHARACTERS = 8192

interface OutputOptions {
  maxOutputBytes?: number
  onLine?: (line: string) => void
}

/** Gathers both streams within a bound; `runCommand` says what happens beyond it. */
export function collectOutput(child: ChildProcess, options: OutputOptions) {
  const limit = options.maxOutputBytes ?? 1024 * 1024
  const collected = {
    overflowed: false,
    onOverflow: (): void => undefined,
    stdout: (): string => '',
    stderr: (): string => '',
  }
  const keep = (stream: NodeJS.ReadableStream | null, tailOnly: boolean): (() => string) => {
    let chunks: Buffer[] = []
    let size = 0
    const lines = options.onLine && lineSplitter(options.onLine)
    stream?.on('data', (chunk: Buffer) => {
      lines?.push(chunk)
      chunks.push(chunk)
      size += chunk.length
      if (size <= limit) return
      if (!tailOnly) {
        collected.overflowed = true
        collected.onOverflow()
      }
      if (size > 2 * limit) {
        chunks = [Buffer.concat(chunks).subarray(-limit)]
        size = limit
      }
    })
    stream?.on('end', () => lines?.end())
    return () => Buffer.concat(chunks).subarray(-limit).toString('utf8')
  }
  collected.stdout = keep(child.stdout, options.onLine !== undefined)
  collected.stderr = keep(child.stderr, true)
  return collected
}

/** Calls `onLine` with each non-empty line, ended by CR or LF, without its end. UTF-8 stays whole across chunks. */
export function lineSplitter(onLine: (line: string) => void) {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  const emit = (line: string) => {
    if (line !== '') onLine(line.slice(0, MAX_LINE_CHARACTERS))
  }
  return {
    push(chunk: Buffer) {
      const parts = (rest + decoder.write(chunk)).split(/[\r\n]+/)
      rest = (parts.pop() ?? '').slice(0, MAX_LINE_CHARACTERS)
      for (const part of parts) emit(part)
    },
    end() {
      emit(rest + decoder.end())
      rest = ''
    },
  }
}
