import type { Duplex } from 'node:stream'
import { SERIAL_REPLAY_BYTES } from '../domain/console.js'
import type { NodeId } from '../domain/ids.js'
import type { ConsoleTarget, NodeEngine } from '../hosts/engine.js'
import type { Logger } from '../system/log.js'
import { openTarget } from './console-target.js'
import { type EndCause, isNotFound, isRunning, pause } from './node-running.js'
import { createSerialHistory, type SerialHistory } from './serial-history.js'
import { bytesBetween } from './serial-join.js'

/**
 * A running node's serial line: the chardev's only client. It always reads, so that the guest is never held up, and
 * connects again when the stream breaks while the node runs; the log fills what was missed.
 */
export interface SerialLine {
  readonly history: SerialHistory
  /** Resolves when the history is known and live output follows it. Never rejects: see `onEnd`. */
  readonly ready: Promise<void>
  /** Types; dropped while there is no connection. False: no more until `onDrain`. */
  type(bytes: Buffer): boolean
  close(): void
}

export interface SerialLineOptions {
  engine: NodeEngine
  nodeId: NodeId
  log: Logger
  onOutput: () => void
  onDrain: () => void
  /** Once; not after `close`. */
  onEnd: (cause: EndCause) => void
  /** How long the stream may stay away while the node runs. */
  patienceMs: number
}

/** What a viewer may lag behind before it skips: twice the replay. */
const HISTORY_BYTES = 2 * SERIAL_REPLAY_BYTES
const MAX_TYPED_BYTES = 64 * 1024
const MAX_BURST_BYTES = 128 * 1024
const MAX_EARLY_BYTES = 1024 * 1024
const RETRY_MS = [50, 100, 200, 400, 800]

export function openSerialLine(options: SerialLineOptions): SerialLine {
  const { engine, nodeId, log } = options
  const history = createSerialHistory(HISTORY_BYTES)
  const closing = new AbortController()
  let stream: Duplex | undefined
  let settleReady: () => void
  const ready = new Promise<void>((resolve) => (settleReady = resolve))

  run().catch((error: unknown) => {
    log.error({ err: error, nodeId }, 'the serial line broke')
    end('unavailable')
  })

  async function run(): Promise<void> {
    const known = await tailOf(engine, nodeId)
    history.append(known)
    let since = performance.now()
    for (let attempt = 0; !closing.signal.aborted; attempt += 1) {
      const target = await targetOf(engine, nodeId, log)
      if (target === 'none') return end('node-stopped')
      if (target !== 'unknown' && (await follow(target))) {
        attempt = 0
        since = performance.now()
      }
      if (closing.signal.aborted) return
      if (!(await isRunning(engine, nodeId))) return end('node-stopped')
      if (performance.now() - since > options.patienceMs) return end('unavailable')
      await pause(RETRY_MS[attempt] ?? RETRY_MS.at(-1)!, closing.signal)
    }
  }

  /** Reads until the stream ends. False when it could not even be opened. */
  async function follow(target: ConsoleTarget): Promise<boolean> {
    const opened = await openTarget(target).catch((error: unknown) => {
      log.debug({ err: error, nodeId }, 'the serial console could not be opened')
    })
    if (!opened) return false
    const ended = endOf(opened)
    stream = opened
    if (closing.signal.aborted) opened.destroy()
    opened.on('drain', options.onDrain)
    await joinTo(opened)
    settleReady()
    options.onOutput()
    await ended
    stream = undefined
    options.onDrain()
    return true
  }

  /** Appends what was missed, then what has arrived, and lets everything further be appended as it comes. */
  async function joinTo(opened: Duplex): Promise<void> {
    const early: Buffer[] = []
    let earlyBytes = 0
    let joined = false
    const rest = restBetweenBursts(opened)
    opened.on('data', (chunk: Buffer) => {
      if (joined) {
        history.append(chunk)
        options.onOutput()
        return rest(chunk.length)
      }
      early.push(chunk)
      earlyBytes += chunk.length
      if (earlyBytes > MAX_EARLY_BYTES) opened.pause() // for as long as it takes to read the log's end
    })
    const tail = await tailOf(engine, nodeId)
    await untilQuiet(() => earlyBytes)
    const received = Buffer.concat(early)
    history.append(Buffer.from(bytesBetween(history.tail(SERIAL_REPLAY_BYTES), tail, received)))
    history.append(received)
    joined = true
    opened.resume()
  }

  function end(cause: EndCause): void {
    if (closing.signal.aborted) return
    close()
    options.onEnd(cause)
  }

  function close(): void {
    closing.abort()
    stream?.destroy()
    settleReady()
  }

  return {
    history,
    ready,
    type(bytes) {
      if (!stream || stream.destroyed) return true
      stream.write(bytes)
      return stream.writableLength < MAX_TYPED_BYTES
    },
    close,
  }
}

/** The newest output that the engine kept; a log that can't be read is an empty one. */
async function tailOf(engine: NodeEngine, nodeId: NodeId): Promise<Buffer> {
  return engine.serialTail(nodeId, SERIAL_REPLAY_BYTES).catch(() => Buffer.alloc(0))
}

async function targetOf(engine: NodeEngine, nodeId: NodeId, log: Logger): Promise<ConsoleTarget | 'none' | 'unknown'> {
  try {
    return await engine.console(nodeId, 'serial')
  } catch (error) {
    if (isNotFound(error)) return 'none'
    log.warn({ err: error, nodeId }, 'the engine names no serial console')
    return 'unknown'
  }
}

/** Resolves when the stream has ended, in whatever way; from here on its errors are heard. */
function endOf(stream: Duplex): Promise<void> {
  return new Promise((resolve) => {
    stream.on('error', () => stream.destroy())
    stream.once('end', () => stream.destroy())
    stream.once('close', resolve)
  })
}

/**
 * Stops reading until the next turn of the event loop after each burst, however the viewers are: else one turn could
 * bring more than the history holds, and a viewer that is quick enough would skip what it was never offered.
 */
function restBetweenBursts(stream: Duplex): (bytes: number) => void {
  let burstBytes = 0
  return (bytes) => {
    burstBytes += bytes
    if (burstBytes < MAX_BURST_BYTES || stream.isPaused()) return
    stream.pause()
    setImmediate(() => {
      burstBytes = 0
      stream.resume()
    })
  }
}

/** Lets everything in that had arrived before: a few turns of the event loop without news. */
async function untilQuiet(count: () => number): Promise<void> {
  for (let turn = 0, quiet = 0, seen = count(); turn < 100 && quiet < 3; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve))
    quiet = count() === seen ? quiet + 1 : 0
    seen = count()
  }
}
