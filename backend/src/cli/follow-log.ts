import { open } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import type { Io } from './io.js'
import { oneLine } from './text.js'

const POLL_MS = 250
const WARN = 40

const lineSchema = z.looseObject({
  level: z.number(),
  time: z.number().optional(),
  msg: z.string().optional(),
  err: z.looseObject({ message: z.string().optional() }).optional(),
  name: z.string().optional(),
})

/** Prints what matters of a growing log of JSON lines until `signal` fires. */
export async function followLog(io: Io, file: string, from: number, signal: AbortSignal): Promise<void> {
  const handle = await open(file, 'r')
  const chunk = Buffer.alloc(64 * 1024)
  const decoder = new TextDecoder()
  let offset = from
  let rest = ''
  try {
    while (!signal.aborted) {
      const { bytesRead } = await handle.read(chunk, 0, chunk.length, offset)
      if (bytesRead === 0) {
        await pause(POLL_MS, undefined, { signal }).catch(() => undefined) // an abort ends the loop
        continue
      }
      offset += bytesRead
      const lines = (rest + decoder.decode(chunk.subarray(0, bytesRead), { stream: true })).split('\n')
      rest = (lines.pop() ?? '').slice(-chunk.length)
      for (const line of lines) {
        const important = importantLine(line)
        if (important !== undefined) io.stdout.write(`${important}\n`)
      }
    }
  } finally {
    await handle.close()
  }
}

/** A log line for people, or undefined for what nobody reads while all is well: requests and debugging. */
export function importantLine(line: string): string | undefined {
  if (line.trim() === '') return undefined
  const parsed = lineSchema.safeParse(parseJson(line))
  if (!parsed.success) return oneLine(line) // a crash's stack, or a child's words: never hidden
  const { level, time, msg, err } = parsed.data
  if (level < 30 || (level < WARN && ('req' in parsed.data || 'res' in parsed.data))) return undefined
  const at = new Date(time ?? Date.now()).toTimeString().slice(0, 8)
  const weight = level >= 50 ? 'error  ' : level >= WARN ? 'warning' : 'info   '
  const cause = err?.message === undefined || err.message === msg ? '' : `: ${err.message}`
  return oneLine(`${at} ${weight} ${msg ?? ''}${cause}`)
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
