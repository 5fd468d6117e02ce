import { randomInt } from 'node:crypto'
import { lstat } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { z } from 'zod'

/**
 * Why the guest's agent could not be asked. `absent`: no socket, or nobody behind it; `silent`: no answer in time, what
 * was asked may still be done; `closed`: the connection ended; `refused`: the agent said no; `protocol`: what answers
 * does not speak as an agent does.
 */
export type AgentFailure = 'absent' | 'silent' | 'closed' | 'refused' | 'protocol'

export class AgentError extends Error {
  readonly failure: AgentFailure
  constructor(failure: AgentFailure, message: string, options: { cause?: unknown } = {}) {
    super(message, options)
    this.name = 'AgentError'
    this.failure = failure
  }
}

/**
 * A guest's qemu-guest-agent (QEMU's docs/interop/qemu-ga). It runs inside the guest: its words are a stranger's, and
 * whatever it sends takes bounded time and memory. All reject with AgentError.
 */
export interface GuestAgent {
  ping(): Promise<void>
  freezeStatus(): Promise<'thawed' | 'frozen'>
  /** Writes everything out and holds every write from then on. How many file systems were frozen. */
  freeze(): Promise<number>
  /** How many were thawed; 0 when none was frozen. */
  thaw(): Promise<number>
  time(): Promise<Date>
  /** Sets the guest's clock, and its hardware's. */
  setTime(at: Date): Promise<void>
  close(): void
}

/** For the first answer, and for each that needs no work of the guest. */
export const ANSWER_MS = 5000
/** The guest writes out all that it has cached. */
const FREEZE_MS = 30_000
const THAW_MS = 10_000
/** The longest answer that we ask for has some 100 bytes. */
const MAX_LINE_BYTES = 16 * 1024
/** Of a whole connection. */
const MAX_BYTES = 256 * 1024
/** Resets the other side's parser; before an answer it tells where that begins (guest-sync-delimited). */
const SENTINEL = 0xff
const SHOWN_WORDS = 200
/** In a millisecond: the agent's unit. */
const NANOSECONDS = 1_000_000

const answerSchema = z.union([
  z.object({ return: z.unknown() }),
  z.object({ error: z.object({ desc: z.string().default('it did not say why') }) }),
])

/**
 * Connects to the port's socket and waits until an agent answers as one. QEMU serves one connection at a time, another
 * one waits for its turn here. The path must be a socket itself: a link in its place is refused as `absent`.
 */
export async function connectAgent(path: string, answerMs = ANSWER_MS): Promise<GuestAgent> {
  const line = openLine(await connected(path, answerMs))
  try {
    await synchronize(line, answerMs)
  } catch (error) {
    line.close()
    throw error
  }
  const ask = async <T>(command: string, schema: z.ZodType<T>, timeoutMs: number, args?: object): Promise<T> => {
    line.send(Buffer.from(messageOf(command, args)))
    const answer = schema.safeParse(returned(command, await line.next(timeoutMs, command)))
    if (answer.success) return answer.data
    throw new AgentError('protocol', `The agent's answer to ${command} has an unknown form.`, { cause: answer.error })
  }
  const count = z.int().nonnegative()
  return {
    ping: () => ask('guest-ping', z.unknown(), answerMs).then(() => undefined),
    freezeStatus: () => ask('guest-fsfreeze-status', z.enum(['thawed', 'frozen']), answerMs),
    freeze: () => ask('guest-fsfreeze-freeze', count, FREEZE_MS),
    thaw: () => ask('guest-fsfreeze-thaw', count, THAW_MS),
    time: async () => new Date((await ask('guest-get-time', z.number(), answerMs)) / NANOSECONDS),
    setTime: (at) =>
      ask('guest-set-time', z.unknown(), answerMs, { time: at.getTime() * NANOSECONDS }).then(() => undefined),
    close: () => line.close(),
  }
}

/** What earlier connections have asked may still be answered: all before our own number is passed over. */
async function synchronize(line: Line, answerMs: number): Promise<void> {
  const id = randomInt(1, 2 ** 47)
  const until = performance.now() + answerMs
  line.send(Buffer.concat([Buffer.from([SENTINEL]), Buffer.from(messageOf('guest-sync-delimited', { id }))]))
  for (;;) {
    const text = await line.next(Math.max(1, until - performance.now()), 'guest-sync-delimited')
    const answer = parsed(text)
    if (answer && 'return' in answer && answer.return === id) return
  }
}

function messageOf(command: string, args: object | undefined): string {
  return `${JSON.stringify({ execute: command, ...(args ? { arguments: args } : {}) })}\n`
}

function returned(command: string, text: string): unknown {
  const answer = parsed(text)
  if (!answer) throw new AgentError('protocol', 'What answers in the place of the guest’s agent is none.')
  if ('return' in answer) return answer.return
  throw new AgentError('refused', `The guest's agent refused ${command}: ${shown(answer.error.desc)}`)
}

function parsed(text: string): z.infer<typeof answerSchema> | undefined {
  try {
    return answerSchema.safeParse(JSON.parse(text)).data
  } catch {
    return undefined // no JSON: the caller says what that means
  }
}

/** A stranger's words, for a log and a person: short, and nothing that a terminal obeys. */
function shown(words: string): string {
  return words.replaceAll(/[^\x20-\x7e]+/g, ' ').slice(0, SHOWN_WORDS)
}

async function connected(path: string, timeoutMs: number): Promise<Socket> {
  const stats = await lstat(path).catch((cause: unknown) => {
    throw new AgentError('absent', "There is no port for the guest's agent.", { cause })
  })
  if (!stats.isSocket()) throw new AgentError('absent', "What lies in the place of the agent's port is no socket.")
  const socket = connect({ path })
  return new Promise((resolve, reject) => {
    const fail = (failure: AgentFailure, message: string, cause?: unknown) => {
      clearTimeout(timer)
      socket.destroy()
      reject(new AgentError(failure, message, { cause }))
    }
    const timer = setTimeout(() => fail('silent', "Nobody takes calls at the agent's port."), timeoutMs)
    socket.on('error', (cause) => fail('absent', "Nobody is behind the agent's port.", cause)) // later ones: the line's
    socket.once('connect', () => {
      clearTimeout(timer)
      resolve(socket)
    })
  })
}

interface Line {
  send(bytes: Buffer): void
  /** The next line. Rejects with AgentError; the connection is closed then. */
  next(timeoutMs: number, command: string): Promise<string>
  close(): void
}

/** One answer is waited for at a time. What came before the question is no answer to it. */
function openLine(socket: Socket): Line {
  let rest = Buffer.alloc(0)
  let received = 0
  let ended: AgentError | undefined
  const lines: string[] = []
  let waiting: { resolve(text: string): void; reject(error: AgentError): void } | undefined

  const end = (error: AgentError) => {
    ended ??= error
    socket.destroy()
    rest = Buffer.alloc(0)
    waiting?.reject(ended)
    waiting = undefined
  }
  const take = (text: string) => {
    if (waiting) waiting.resolve(text)
    else lines.push(text)
    waiting = undefined
  }
  socket.on('data', (chunk: Buffer) => {
    received += chunk.length
    if (received > MAX_BYTES) return end(endless())
    rest = Buffer.concat([rest, chunk])
    for (let at = rest.indexOf(0x0a); at >= 0; at = rest.indexOf(0x0a)) {
      const text = afterSentinel(rest.subarray(0, at)).toString('utf8')
      rest = rest.subarray(at + 1)
      if (text.trim() !== '') take(text)
    }
    if (rest.length > MAX_LINE_BYTES) end(endless())
  })
  socket.on('error', (cause) => end(new AgentError('closed', "The connection to the guest's agent broke.", { cause })))
  socket.on('close', () => end(new AgentError('closed', "The connection to the guest's agent has ended.")))

  return {
    send(bytes) {
      lines.length = 0
      socket.write(bytes)
    },
    close: () => socket.destroy(),
    next(timeoutMs, command) {
      const ready = lines.shift()
      if (ready !== undefined) return Promise.resolve(ready)
      if (ended) return Promise.reject(ended)
      return new Promise((resolve, reject) => {
        const late = () => end(new AgentError('silent', `The guest's agent did not answer ${command} in time.`))
        const timer = setTimeout(late, timeoutMs)
        const over = () => clearTimeout(timer)
        waiting = {
          resolve: (text) => (over(), resolve(text)),
          reject: (error) => (over(), reject(error)),
        }
      })
    },
  }
}

function afterSentinel(line: Buffer): Buffer {
  return line.subarray(line.lastIndexOf(SENTINEL) + 1)
}

function endless(): AgentError {
  return new AgentError('protocol', "What answers in the place of the guest's agent sends without end.")
}
