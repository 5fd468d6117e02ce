import { lstat } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { StringDecoder } from 'node:string_decoder'
import type { z } from 'zod'
import { parseQmpLine, type QmpAnswer, type QmpEvent, type QmpVersion } from './qmp-messages.js'

/**
 * Why a QMP exchange failed. `absent`: no socket, or nobody behind it; `silent`: no answer in time, the command may
 * still take effect; `closed`: the connection ended; `refused`: QEMU said no (`errorClass`); `busy`: too many commands
 * wait; `protocol`: the other side does not speak QMP.
 */
export type QmpFailure = 'absent' | 'silent' | 'closed' | 'refused' | 'busy' | 'protocol'

export class QmpError extends Error {
  readonly failure: QmpFailure
  readonly errorClass: string | undefined
  constructor(failure: QmpFailure, message: string, options: { errorClass?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.name = 'QmpError'
    this.failure = failure
    this.errorClass = options.errorClass
  }
}

export interface QmpOptions {
  /** For the greeting and for each command, in milliseconds; default 2000. */
  timeoutMs?: number
  /** Commands that may wait for an answer at once; default 64. */
  maxPending?: number
  /** Called in order for each event from the first moment on. */
  onEvent?: (event: QmpEvent) => void
}

export interface QmpClient {
  readonly version: QmpVersion
  /** Sends one command and parses what comes back. Rejects with QmpError; a late answer is dropped. */
  execute<T>(command: string, schema: z.ZodType<T>, args?: object, timeoutMs?: number): Promise<T>
  /** The same, for commands whose answer says nothing. */
  run(command: string, args?: object, timeoutMs?: number): Promise<void>
  /** Resolves when the connection has ended, from whichever side. */
  readonly closed: Promise<void>
  close(): void
}

export const QMP_TIMEOUT_MS = 2000
const MAX_PENDING = 64
/** The longest answer that we ask for (`query-block`) has a few KiB. */
const MAX_LINE_BYTES = 1024 * 1024
/** What a stopped QEMU may leave unread on our side. */
const MAX_UNSENT_BYTES = 64 * 1024

interface Pending {
  settle(answer: QmpAnswer | QmpError): void
}

/**
 * Connects to QEMU's QMP socket and ends its negotiation mode. QEMU serves one client per socket: a second one is
 * accepted by the kernel and hears nothing, which ends here as `silent` after the timeout.
 *
 * The path must be a socket itself: a symbolic link put in its place is refused as `absent`.
 */
export async function connectQmp(path: string, options: QmpOptions = {}): Promise<QmpClient> {
  await requireSocket(path)
  const timeoutMs = options.timeoutMs ?? QMP_TIMEOUT_MS
  const line = openLine(path, options)
  try {
    const version = await within(line.greeting, timeoutMs, () => new QmpError('silent', `QMP at ${path} did not greet`))
    // Not waited for: QEMU answers in order, so a refusal shows in whatever is asked next.
    line.send('qmp_capabilities', undefined, timeoutMs).catch(line.close)
    return {
      version,
      closed: line.closed,
      close: line.close,
      execute: async (command, schema, args, commandTimeoutMs = timeoutMs) => {
        const parsed = schema.safeParse(await line.send(command, args, commandTimeoutMs))
        if (parsed.success) return parsed.data
        throw new QmpError('protocol', `QEMU's answer to ${command} has an unknown form`, { cause: parsed.error })
      },
      run: async (command, args, commandTimeoutMs = timeoutMs) => {
        await line.send(command, args, commandTimeoutMs)
      },
    }
  } catch (error) {
    line.close()
    throw error
  }
}

async function requireSocket(path: string): Promise<void> {
  const stats = await lstat(path).catch((cause: unknown) => {
    throw new QmpError('absent', `There is no socket at ${path}`, { cause })
  })
  if (!stats.isSocket()) throw new QmpError('absent', `${path} is not a socket`)
}

function openLine(path: string, options: QmpOptions) {
  const pending = new Map<number, Pending>()
  let nextId = 1
  let ended: QmpError | undefined
  const greeting = defer<QmpVersion>()
  const closed = defer<void>()
  const socket = connect({ path })
  let reached = false
  socket.once('connect', () => (reached = true))

  const end = (error: QmpError) => {
    if (ended) return
    ended = error
    socket.destroy()
    greeting.reject(error)
    for (const waiting of pending.values()) waiting.settle(error)
    pending.clear()
    closed.resolve()
  }
  const receive = (text: string) => {
    const message = parseQmpLine(text)
    if (!message) return end(new QmpError('protocol', `What answers at ${path} does not speak QMP`))
    if (message.kind === 'greeting') return greeting.resolve(message.version)
    if (message.kind === 'event') return options.onEvent?.(message.event)
    const id = message.answer.id
    const waiting = id === undefined ? undefined : pending.get(id)
    if (id !== undefined) pending.delete(id)
    waiting?.settle(message.answer) // without one: an answer that came after its timeout
  }
  splitLines(socket, receive, () => end(new QmpError('protocol', `QMP at ${path} sent an endless line`)))
  socket.on('error', (cause) => {
    if (reached) end(new QmpError('closed', `The QMP connection to ${path} broke`, { cause }))
    else end(new QmpError('absent', `Nobody answers at ${path}`, { cause }))
  })
  socket.on('close', () => end(new QmpError('closed', `The QMP connection to ${path} has ended`)))

  const send = (command: string, args: object | undefined, timeoutMs: number): Promise<unknown> => {
    if (ended) return Promise.reject(new QmpError('closed', `${command}: ${ended.message}`, { cause: ended }))
    if (pending.size >= (options.maxPending ?? MAX_PENDING)) {
      return Promise.reject(new QmpError('busy', `${command}: too many QMP commands wait for an answer`))
    }
    if (socket.writableLength > MAX_UNSENT_BYTES) {
      return Promise.reject(new QmpError('silent', `${command}: QEMU has read no command for a long time`))
    }
    const id = nextId++
    socket.write(`${JSON.stringify({ execute: command, ...(args ? { arguments: args } : {}), id })}\r\n`)
    return answerTo(pending, id, command, timeoutMs)
  }
  return { greeting: greeting.promise, closed: closed.promise, send, close: () => socket.destroy() }
}

function answerTo(pending: Map<number, Pending>, id: number, command: string, timeoutMs: number): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      pending.delete(id)
      reject(new QmpError('silent', `QEMU did not answer ${command} within ${timeoutMs} ms`))
    }, timeoutMs)
    pending.set(id, {
      settle(answer) {
        clearTimeout(timer)
        if (answer instanceof QmpError) reject(answer)
        else if ('error' in answer) reject(refusal(command, answer.error))
        else resolve(answer.return)
      },
    })
  })
}

function refusal(command: string, error: { class: string; desc: string }): QmpError {
  return new QmpError('refused', `QEMU refused ${command}: ${error.desc}`, { errorClass: error.class })
}

function splitLines(socket: Socket, onLine: (line: string) => void, onTooLong: () => void): void {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  socket.on('data', (chunk: Buffer) => {
    const lines = (rest + decoder.write(chunk)).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      if (line.trim() !== '') onLine(line)
    }
    if (rest.length > MAX_LINE_BYTES) onTooLong()
  })
}

async function within<T>(promise: Promise<T>, timeoutMs: number, failure: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(failure()), timeoutMs)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

function defer<T>() {
  let resolve!: (value: T) => void
  let reject!: (error: Error) => void
  const promise = new Promise<T>((res, rej) => {
    resolve = res
    reject = rej
  })
  promise.catch(() => undefined) // whoever waits hears of it; nobody has to wait
  return { promise, resolve, reject }
}
