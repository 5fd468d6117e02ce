import { randomUUID } from 'node:crypto'
import { SandlabError } from '../domain/error.js'
import { CommandError } from '../system/command.js'
import { errnoOf, isNoSpace } from '../system/durable-file.js'
import { QmpError } from '../system/qmp.js'
import { EngineError, type Job, type JobState } from './engine.js'

/** Finished jobs that are remembered, so that a repeated request finds its answer. */
const REMEMBERED_JOBS = 1000

export interface Jobs {
  /**
   * Runs `work` once for each `scope` and `key`: asked again while it runs or after it succeeded, the same job comes
   * back. A failed job is forgotten: the same key may try again.
   */
  run<T>(scope: string, key: string, work: () => Promise<T>): Job<T>
  /** Jobs that still run become `lost`: they may yet take effect, and nobody will tell. */
  close(): void
}

interface Entry {
  job: Job<unknown>
  lose(): void
}

export function createJobs(): Jobs {
  const entries = new Map<string, Entry>()
  return {
    run<T>(scope: string, key: string, work: () => Promise<T>): Job<T> {
      const name = `${scope} ${key}`
      const known = entries.get(name)
      // The scope names the action, and each action has one type of result.
      if (known && known.job.state !== 'failed') return known.job as Job<T>
      const entry = startJob(key, work)
      entries.delete(name)
      entries.set(name, entry)
      forgetOldest(entries)
      return entry.job
    },
    close() {
      for (const entry of entries.values()) entry.lose()
    },
  }
}

function startJob<T>(key: string, work: () => Promise<T>): { job: Job<T>; lose(): void } {
  let state: JobState = 'pending'
  let lose: () => void = () => undefined
  const lost = new Promise<never>((_, reject) => {
    lose = () => {
      if (state !== 'pending') return
      state = 'lost'
      reject(new EngineError('lost', 'The engine was closed while this was under way.', { retry: true }))
    }
  })
  const settle = async (): Promise<T> => {
    try {
      const value = await work()
      if (state === 'pending') state = 'succeeded'
      return value
    } catch (error) {
      if (state === 'pending') state = 'failed'
      throw engineErrorOf(error)
    }
  }
  const outcome = Promise.race([settle(), lost])
  outcome.catch(() => undefined) // whoever waits hears of it; nobody has to wait
  const job: Job<T> = {
    id: randomUUID(),
    key,
    get state() {
      return state
    },
    wait: (options = {}) => waitFor(outcome, options),
  }
  return { job, lose: () => lose() }
}

async function waitFor<T>(outcome: Promise<T>, options: { signal?: AbortSignal; timeoutMs?: number }): Promise<T> {
  const { signal, timeoutMs } = options
  if (!signal && timeoutMs === undefined) return outcome
  let timer: NodeJS.Timeout | undefined
  let onAbort: (() => void) | undefined
  const over = new Promise<never>((_, reject) => {
    const end = (why: string) => () => reject(new EngineError('timeout', why, { retry: true }))
    if (timeoutMs !== undefined) timer = setTimeout(end(`Not done within ${timeoutMs} ms; it goes on.`), timeoutMs)
    onAbort = end('The wait was given up; the job goes on.')
    if (signal?.aborted) onAbort()
    signal?.addEventListener('abort', onAbort, { once: true })
  })
  try {
    return await Promise.race([outcome, over])
  } finally {
    clearTimeout(timer)
    if (onAbort) signal?.removeEventListener('abort', onAbort)
  }
}

/** Whatever went wrong below, in the contract's words; the cause keeps the rest for the log. */
export function engineErrorOf(error: unknown): EngineError {
  if (error instanceof EngineError) return error
  if (error instanceof SandlabError) {
    const code = error.code === 'no_space' ? 'no-space' : error.code === 'node_broken' ? 'broken' : 'engine'
    return new EngineError(code, error.hint ? `${error.message} ${error.hint}` : error.message, { cause: error })
  }
  if (error instanceof QmpError || error instanceof CommandError) {
    return new EngineError('engine', error.message, { cause: error })
  }
  const errno = errnoOf(error)
  if (isNoSpace(errno)) return new EngineError('no-space', "The host's disk is full.", { cause: error })
  const message = errno ? `The host refused a step (${errno}).` : 'The engine failed; its log says why.'
  return new EngineError('engine', message, { cause: error })
}

function forgetOldest(entries: Map<string, Entry>): void {
  if (entries.size <= REMEMBERED_JOBS) return
  for (const [name, entry] of entries) {
    if (entry.job.state === 'pending') continue
    entries.delete(name)
    return
  }
}
