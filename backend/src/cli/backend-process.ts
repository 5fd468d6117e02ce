import { spawn, type ChildProcess } from 'node:child_process'
import { mkdir, open, readFile, rename, stat } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { ERROR_CODES, SandlabError, type ErrorCode } from '../domain/error.js'
import type { Layout } from '../domain/layout.js'
import { request } from './client.js'
import type { Io } from './io.js'
import { backendLogFile, readRunningBackend } from './local-backend.js'
import { printable } from './text.js'

export interface BackendOptions {
  dataDir: string
  layout: Layout
  host?: string | undefined
  port?: number | undefined
}

export interface BackendChild {
  pid: number
  url: string
  logFile: string
  /** Where this run begins in the log file, in bytes. */
  logStart: number
  /** Why it takes no requests though it answers; null when all is well. */
  safeMode: string | null
  /** Resolves when the process has ended; never rejects. */
  ended: Promise<Ending>
  signal(name: NodeJS.Signals): void
  /** Lets it go on without us. */
  release(): void
}
export interface Ending {
  exitCode: number | null
  signal: NodeJS.Signals | null
}

const START_TIMEOUT_MS = 180_000
/** A stop closes consoles and PostgreSQL, and may save what runs (`SANDLABX_ON_STOP_SECONDS`); above this something hangs. */
export const STOP_TIMEOUT_MS = 200_000
const POLL_MS = 50
const LOG_KEPT_BYTES = 16 * 1024 * 1024

/**
 * Starts the backend in a session of its own, so that Ctrl-C on our terminal reaches only us, and waits until it takes
 * requests. Its log goes to a file, so that it never waits for or dies with us. Throws what it said when it ended
 * instead, with its exit code; `cancelled` when `abort` fires (it is then told to stop).
 */
export async function startBackend(io: Io, options: BackendOptions, abort: AbortSignal): Promise<BackendChild> {
  const { layout } = options
  await mkdir(layout.run, { recursive: true, mode: 0o755 }).catch((error: unknown) => {
    throw new SandlabError('bad_config', `The folder ${layout.run} can't be made.`, {
      hint: 'Who made this data folder? Run as the same user, or give it to you with chown.',
      cause: error,
    })
  })
  const { child, logFile, logStart } = await spawnWithLog(io, options)
  const ended = new Promise<Ending>((resolve) => {
    child.once('exit', (exitCode, signal) => resolve({ exitCode, signal }))
    child.once('error', () => resolve({ exitCode: null, signal: null }))
  })
  const pid = child.pid
  if (pid === undefined)
    throw new SandlabError('internal', `The backend could not be started with ${process.execPath}.`)
  const onAbort = () => child.kill('SIGTERM')
  abort.addEventListener('abort', onAbort, { once: true })
  try {
    const { url, safeMode } = await untilReady(io, layout, pid, ended, abort)
    return {
      pid,
      url,
      logFile,
      logStart,
      safeMode,
      ended,
      signal: (name) => void child.kill(name),
      release: () => child.unref(),
    }
  } catch (error) {
    child.kill('SIGTERM')
    await Promise.race([ended, pause(STOP_TIMEOUT_MS, undefined, { ref: false })])
    if (abort.aborted) throw interrupted() // whether it then ended by itself is no news
    if (error instanceof BackendEnded) throw await explainEnding(error.ending, logFile, logStart)
    throw error
  } finally {
    abort.removeEventListener('abort', onAbort)
  }
}

async function spawnWithLog(io: Io, options: BackendOptions) {
  const logFile = backendLogFile(options.layout)
  const known = await stat(logFile).catch(() => undefined)
  if (known && known.size > LOG_KEPT_BYTES) await rename(logFile, `${logFile}.1`)
  const log = await open(logFile, 'a', 0o600).catch((error: unknown) => {
    throw new SandlabError('bad_config', `The log ${logFile} can't be written.`, {
      hint: 'Who made this data folder? Run as the same user, or give it to you with chown.',
      cause: error,
    })
  })
  try {
    const logStart = (await log.stat()).size
    const child: ChildProcess = spawn(process.execPath, [io.serverScript], {
      // Standard output says what the log says; people get it from us.
      stdio: ['ignore', 'ignore', log.fd],
      detached: true,
      env: {
        ...io.env,
        SANDLABX_DATA: options.dataDir,
        ...(options.host === undefined ? {} : { SANDLABX_HOST: options.host }),
        ...(options.port === undefined ? {} : { SANDLABX_PORT: String(options.port) }),
      },
    })
    return { child, logFile, logStart }
  } finally {
    await log.close()
  }
}

class BackendEnded extends Error {
  readonly ending: Ending
  constructor(ending: Ending) {
    super('The backend ended.')
    this.ending = ending
  }
}

async function untilReady(
  io: Io,
  layout: Layout,
  pid: number,
  ended: Promise<Ending>,
  abort: AbortSignal,
): Promise<{ url: string; safeMode: string | null }> {
  const deadline = Date.now() + START_TIMEOUT_MS
  while (Date.now() < deadline) {
    if (abort.aborted) throw interrupted()
    const running = await readRunningBackend(layout, io.serverScript)
    if (running?.pid === pid) {
      const state = await askReady(running.url)
      if (state !== 'starting') return { url: running.url, safeMode: state === 'ready' ? null : state.safeMode }
    }
    const ending = await Promise.race([ended, pause(POLL_MS)])
    if (ending) throw new BackendEnded(ending)
  }
  throw new SandlabError('internal', `The backend did not get ready within ${START_TIMEOUT_MS / 1000} s.`, {
    hint: `Its log is ${backendLogFile(layout)}.`,
  })
}

function interrupted(): SandlabError {
  return new SandlabError('cancelled', 'Cancelled; the backend was told to stop.')
}

async function askReady(url: string): Promise<'ready' | 'starting' | { safeMode: string }> {
  try {
    const response = await request(url, '/api/health/ready', { signal: AbortSignal.timeout(5000) })
    await response.arrayBuffer()
    return 'ready'
  } catch (error) {
    if (error instanceof SandlabError && error.code === 'safe_mode') return { safeMode: error.message }
    return 'starting' // not listening yet, or 503: asked again, within the bound
  }
}

/** What the backend said before it ended, as our own error with its exit code. */
async function explainEnding(ending: Ending, logFile: string, logStart: number): Promise<SandlabError> {
  const log = await readFile(logFile).catch(() => Buffer.alloc(0))
  const lines = printable(log.subarray(logStart).toString('utf8')).trimEnd().split('\n')
  const at = lines.findLastIndex((line) => line.startsWith('sandlabx: '))
  const code = codeOfExit(ending.exitCode)
  if (at >= 0) {
    const [first = '', ...more] = lines.slice(at)
    return new SandlabError(code, first.slice('sandlabx: '.length), {
      hint: more.map((l) => l.trim()).join(' ') || undefined,
    })
  }
  const how = ending.signal ?? `exit ${ending.exitCode ?? 'unknown'}`
  const tail = lines.slice(-8).join('\n  ')
  return new SandlabError(code, `The backend ended while it started (${how}).${tail && `\n  ${tail}`}`, {
    hint: `Its whole log is ${logFile}.`,
  })
}

function codeOfExit(exitCode: number | null): ErrorCode {
  if (exitCode === ERROR_CODES.state_locked.exit) return 'state_locked'
  if (exitCode === ERROR_CODES.bad_config.exit) return 'bad_config'
  if (exitCode === ERROR_CODES.state_io.exit) return 'state_io'
  return 'internal'
}
