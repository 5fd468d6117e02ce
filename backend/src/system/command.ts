import { spawn, type ChildProcess } from 'node:child_process'
import { SandlabError } from '../domain/error.js'
import { childEnvironment } from './command-environment.js'
import { collectOutput } from './command-output.js'
import { missingTool } from './debian-packages.js'
import type { Identity } from './identity.js'
import { exists } from './exists.js'

export interface CommandOptions {
  /** Entered before the identity changes, so that relative paths work below folders which the worker can't traverse. */
  cwd?: string
  /** Absolute, in milliseconds from the start: then SIGTERM, and SIGKILL after KILL_AFTER_MS. */
  timeoutMs: number
  /** Aborting ends the child as the timeout does. */
  signal?: AbortSignal | undefined
  /** Per stream, default 1 MiB. More on standard output fails the command, unless `onLine` is given; see runCommand. */
  maxOutputBytes?: number
  /** Written to standard input; without it the child reads /dev/null. Secrets go here, never into `args`. */
  input?: string | Buffer
  /** Whom the child runs as; undefined: as we do. */
  identity?: Identity | undefined
  /** Resource limits, set by `prlimit` before the program starts. */
  limits?: { cpuSeconds?: number; memoryBytes?: number; fileBytes?: number }
  /** Each line of both streams, as it comes, ended by CR or LF, cut at 8 KiB. */
  onLine?: (line: string) => void
  /** Added to the few variables that are passed on: our own environment may hold secrets. */
  env?: Record<string, string>
  /** Descriptors of ours that the child gets as 3, 4, … */
  extraFds?: number[]
}

export interface CommandResult {
  stdout: string
  stderr: string
}

/** A child that could not be started, failed, was killed by a limit, took too long or was cancelled. */
export class CommandError extends Error {
  readonly binary: string
  readonly args: string[]
  /** Null when it was ended by a signal or never started. */
  readonly exitCode: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  readonly timedOut: boolean
  readonly cancelled: boolean

  constructor(outcome: CommandOutcome & { reason: string; cause?: unknown }) {
    super(`\`${[outcome.binary, ...outcome.args.slice(0, 1)].join(' ')}\` ${outcome.reason}`, { cause: outcome.cause })
    this.name = 'CommandError'
    this.binary = outcome.binary
    this.args = outcome.args
    this.exitCode = outcome.exitCode
    this.signal = outcome.signal
    this.stdout = outcome.stdout
    this.stderr = outcome.stderr
    this.timedOut = outcome.timedOut
    this.cancelled = outcome.cancelled
  }
}

interface CommandOutcome extends CommandResult {
  binary: string
  args: string[]
  exitCode: number | null
  signal: NodeJS.Signals | null
  timedOut: boolean
  cancelled: boolean
}

const KILL_AFTER_MS = 2000
/** How long a grandchild may hold the pipes after the child itself has ended. */
const PIPES_AFTER_EXIT_MS = 2000

/**
 * Runs a program to its end, without a shell, in a process group of its own. Resolves on exit code 0.
 *
 * Output is bounded: beyond `maxOutputBytes` standard error keeps its newest part; standard output makes the command
 * fail, because what is parsed must be whole, or keeps its newest part when `onLine` has already seen it.
 * Rejects with CommandError, or `missing_tool` when the program (or `prlimit`) is not installed.
 */
export async function runCommand(binary: string, args: string[], options: CommandOptions): Promise<CommandResult> {
  const outcome: CommandOutcome = {
    binary,
    args,
    exitCode: null,
    signal: null,
    stdout: '',
    stderr: '',
    timedOut: false,
    cancelled: false,
  }
  if (options.signal?.aborted) {
    throw new CommandError({ ...outcome, cancelled: true, reason: 'was cancelled before it started' })
  }
  const child = start(binary, args, options)
  const output = collectOutput(child, options)
  const ending = endInTime(child, outcome, options)
  output.onOverflow = ending.end
  feed(child, options.input)
  try {
    await exited(child, outcome)
  } catch (error) {
    throw await startFailure(error, outcome, options)
  } finally {
    ending.release()
  }
  outcome.stdout = output.stdout()
  outcome.stderr = output.stderr()
  const reason = failureOf(outcome, output.overflowed, options.timeoutMs)
  if (!reason) return { stdout: outcome.stdout, stderr: outcome.stderr }
  if (isMissingBehindPrlimit(outcome, options)) throw missingTool(binary)
  throw new CommandError({ ...outcome, reason })
}

function start(binary: string, args: string[], options: CommandOptions): ChildProcess {
  const [program, programArgs] = limited(binary, args, options.limits)
  return spawn(program, programArgs, {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.identity ? { uid: options.identity.uid, gid: options.identity.gid } : {}),
    env: childEnvironment(options.env),
    detached: true,
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe', ...(options.extraFds ?? [])],
  })
}

function limited(binary: string, args: string[], limits: CommandOptions['limits']): [string, string[]] {
  if (!limits) return [binary, args]
  const flags = [
    ...(limits.cpuSeconds === undefined ? [] : [`--cpu=${limits.cpuSeconds}`]),
    ...(limits.memoryBytes === undefined ? [] : [`--as=${limits.memoryBytes}`]),
    ...(limits.fileBytes === undefined ? [] : [`--fsize=${limits.fileBytes}`]),
    '--core=0',
  ]
  return ['prlimit', [...flags, '--', binary, ...args]]
}

function feed(child: ChildProcess, input: string | Buffer | undefined): void {
  if (!child.stdin) return
  // A child that ends without reading its input closes the pipe: its exit code says whether that was well.
  child.stdin.on('error', () => undefined)
  child.stdin.end(input)
}

/** Settles when the child has ended and its output is complete; rejects when it could not be started. */
function exited(child: ChildProcess, outcome: CommandOutcome): Promise<void> {
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined
    child.once('error', reject)
    child.once('exit', () => {
      timer = setTimeout(() => {
        child.stdout?.destroy()
        child.stderr?.destroy()
      }, PIPES_AFTER_EXIT_MS)
    })
    child.once('close', (code: number | null, signal: NodeJS.Signals | null) => {
      clearTimeout(timer)
      outcome.exitCode = code
      outcome.signal = signal
      resolve()
    })
  })
}

function endInTime(child: ChildProcess, outcome: CommandOutcome, options: CommandOptions) {
  let killer: NodeJS.Timeout | undefined
  const end = () => {
    if (killer) return
    signalGroup(child, 'SIGTERM')
    killer = setTimeout(() => signalGroup(child, 'SIGKILL'), KILL_AFTER_MS)
  }
  const timer = setTimeout(() => {
    outcome.timedOut = true
    end()
  }, options.timeoutMs)
  const cancel = () => {
    outcome.cancelled = true
    end()
  }
  options.signal?.addEventListener('abort', cancel, { once: true })
  const release = () => {
    clearTimeout(timer)
    clearTimeout(killer)
    options.signal?.removeEventListener('abort', cancel)
  }
  return { end, release }
}

/** The child and all that it started; ESRCH: they have ended by themselves. */
function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') child.kill(signal)
  }
}

function failureOf(outcome: CommandOutcome, overflowed: boolean, timeoutMs: number): string | undefined {
  if (overflowed) return 'was stopped: it wrote more than its limit to standard output'
  if (outcome.exitCode === 0 && !outcome.signal) return undefined
  if (outcome.timedOut) return `was stopped: it took longer than ${timeoutMs} ms`
  if (outcome.cancelled) return 'was cancelled'
  if (outcome.signal) return `was ended by ${outcome.signal}`
  return `failed with exit code ${outcome.exitCode}`
}

/** `prlimit` answers 127 (126: not executable) when it can't run the program. */
function isMissingBehindPrlimit(outcome: CommandOutcome, options: CommandOptions): boolean {
  return (
    options.limits !== undefined && outcome.exitCode === 127 && outcome.stderr.includes(`execute ${outcome.binary}`)
  )
}

async function startFailure(
  error: unknown,
  outcome: CommandOutcome,
  options: CommandOptions,
): Promise<SandlabError | CommandError> {
  const code = (error as NodeJS.ErrnoException).code
  // ENOENT may mean the program or the working folder.
  if (code === 'ENOENT' && (await exists(options.cwd ?? '.'))) {
    return missingTool(options.limits ? 'prlimit' : outcome.binary, error)
  }
  return new CommandError({ ...outcome, reason: 'could not be started', cause: error })
}
