import { setTimeout as pause } from 'node:timers/promises'
import { isSandlabError, knownCode, SandlabError } from '../domain/error.js'
import type { Operation } from '../domain/operation.js'
import { operationAnswer } from './answers.js'
import type { Client } from './client.js'
import { canAsk, type Io } from './io.js'
import { byteFigures, createPace } from './pace.js'
import { startProgress, type Progress } from './progress.js'
import type { Stage } from './progress-bar.js'
import { askChoice } from './prompts.js'
import { oneLine, paint } from './text.js'

const POLL_MS = 300
/** As long as a restart of the backend may take. */
const SILENCE_MS = 30_000

export interface FollowOptions {
  /** A line for each of its nodes as soon as that one is done. */
  eachItem?: boolean
}

/**
 * Shows an operation until it has ended and returns it. Throws its error when it failed. Ctrl-C asks on a terminal
 * whether it is to be cancelled or left alone; otherwise the operation, which belongs to the server, goes on and
 * `cancelled` is thrown.
 */
export async function followOperation(
  io: Io,
  client: Client,
  started: Operation,
  { eachItem = false }: FollowOptions = {},
): Promise<Operation> {
  let progress = startProgress(io, started.title)
  const stageOf = createStages()
  const newlyEnded = createItemLines(io)
  let operation = started
  const interrupts = listen(io)
  try {
    while (operation.state === 'running') {
      progress.update(stageOf(operation, Date.now()))
      const interrupt = await interrupts.within(POLL_MS)
      if (interrupt !== undefined) {
        progress.clear()
        await interrupted(io, client, operation, interrupt)
        progress = startProgress(io, operation.title)
      }
      operation = await look(client, operation, progress)
      if (eachItem) for (const line of newlyEnded(operation)) progress.note(line)
    }
  } catch (error) {
    progress.clear()
    throw error
  } finally {
    interrupts.close()
  }
  if (operation.state === 'succeeded') progress.succeed(operation.title)
  else progress.fail(`${operation.title}: ${operation.state}`)
  throwUnlessDone(operation)
  return operation
}

/** The same, for what is of interest although it failed: `failure` is what was thrown. Throws when it is left alone. */
export async function followToEnd(
  io: Io,
  client: Client,
  started: Operation,
): Promise<{ operation: Operation; failure?: SandlabError }> {
  try {
    return { operation: await followOperation(io, client, started) }
  } catch (error) {
    if (!isSandlabError(error) || isSandlabError(error, 'unreachable')) throw error
    const { operation } = await client.get(`/api/operations/${started.id}`, operationAnswer)
    if (operation.state === 'running') throw error
    return { operation, failure: error }
  }
}

/** The operation as it is now. While nobody answers, as at a restart, it waits for a while. */
async function look(client: Client, { id, title }: Operation, progress: Progress): Promise<Operation> {
  const giveUpAt = Date.now() + SILENCE_MS
  for (;;) {
    try {
      return (await client.get(`/api/operations/${id}`, operationAnswer)).operation
    } catch (error) {
      const silent = isSandlabError(error, 'unreachable') || isSandlabError(error, 'starting_up')
      if (!silent || Date.now() > giveUpAt) throw error
      progress.update({ words: `${title} · waiting for SandLabX to answer` })
      await pause(POLL_MS)
    }
  }
}

/** SIGINT and its like as values that one waits for. */
function listen(io: Io) {
  let seen: NodeJS.Signals | undefined
  let wake = () => undefined as void
  const stop = io.onSignal((signal) => {
    seen = signal
    wake()
  })
  return {
    async within(milliseconds: number): Promise<NodeJS.Signals | undefined> {
      if (seen === undefined) {
        const waiting = new AbortController()
        wake = () => waiting.abort()
        await pause(milliseconds, undefined, { signal: waiting.signal }).catch(() => undefined) // woken
      }
      const signal = seen
      seen = undefined
      return signal
    },
    close: stop,
  }
}

/** Returns when it is to be followed on; throws `cancelled` when it is left alone. */
async function interrupted(io: Io, client: Client, operation: Operation, signal: NodeJS.Signals): Promise<void> {
  const choice = signal === 'SIGINT' && canAsk(io) ? await askWhatNow(io, operation) : 'leave'
  if (choice === 'leave') throw leftAlone(operation)
  if (choice === 'cancel') {
    const path = `/api/operations/${operation.id}/cancel`
    await client.send('POST', path, {}, operationAnswer).catch((error: unknown) => {
      if (!isSandlabError(error, 'wrong_status')) throw error // it has ended meanwhile: that is shown
    })
  }
}

function askWhatNow(io: Io, { title, cancellable }: Operation): Promise<'watch' | 'cancel' | 'leave'> {
  const watch = { value: 'watch', label: 'Go on watching' } as const
  const cancel = { value: 'cancel', label: 'Cancel it', hint: 'what it did is taken back' } as const
  const leave = { value: 'leave', label: 'Leave it running', hint: 'it belongs to the server' } as const
  return askChoice(
    io,
    cancellable ? `${title} is still running.` : `${title} is still running and can't be cancelled now.`,
    [watch, ...(cancellable ? [cancel] : []), leave],
    'leave',
  )
}

function leftAlone({ id, title }: Operation): SandlabError {
  return new SandlabError('cancelled', `"${title}" goes on without you.`, {
    hint: `See "sandlabx operations show ${shortId(id)}"; "sandlabx operations cancel ${shortId(id)}" ends it.`,
  })
}

/** Enough for the operations commands, and short enough to be typed. */
export function shortId(id: string): string {
  return id.slice(0, 8)
}

/** Words and figures of an operation, poll by poll: a rate needs the polls before. */
export function createStages(): (operation: Operation, at: number) => Stage {
  const pace = createPace()
  return ({ title, step, progress, bytesDone, bytesTotal, items }, at) => {
    const words = [title, ...(step ? [step] : [])].join(' · ')
    const known = pace(at, bytesDone, bytesTotal)
    const figures = bytesDone === null ? [] : byteFigures(known, bytesDone, bytesTotal)
    if (items.length <= 1) return { words, share: progress, figures }
    const done = items.filter(({ state }) => state !== 'waiting' && state !== 'running').length
    const failed = items.filter(({ state }) => state === 'failed').length
    return {
      words,
      share: progress ?? done / items.length,
      figures: [`${done} of ${items.length}`, ...(failed > 0 ? [`${failed} failed`] : []), ...figures],
    }
  }
}

const ITEM_MARKS = {
  succeeded: ['green', '✓', ''],
  failed: ['red', '✗', ': '],
  undone: ['yellow', '!', ' was taken back'],
} as const

/** What has ended since the last look, a line each: `✓ web-01`. */
function createItemLines(io: Io): (operation: Operation) => string[] {
  const told = new Map<string, string>()
  return ({ items }) =>
    items.flatMap(({ name, id, state, error }) => {
      if (state === 'waiting' || state === 'running' || told.get(id ?? name) === state) return []
      told.set(id ?? name, state)
      const [style, mark, words] = ITEM_MARKS[state]
      return [`${paint(io, io.stderr, style, mark)} ${oneLine(`${name}${words}${error?.message ?? ''}`)}`]
    })
}

function throwUnlessDone(operation: Operation): void {
  if (operation.state === 'succeeded') return
  if (operation.state === 'cancelled') throw new SandlabError('cancelled', `"${operation.title}" was cancelled.`)
  if (operation.state === 'lost' || !operation.error) {
    const undone = operation.outcome === 'rolled-back'
    throw new SandlabError('internal', `The backend ended in the middle of "${operation.title}".`, {
      hint: undone ? 'All of it was taken back: try again.' : 'Look at what it made before you try again.',
    })
  }
  const { code, message, hint } = operation.error
  throw new SandlabError(knownCode(code), message, { hint })
}
