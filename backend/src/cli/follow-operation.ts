import { setTimeout as pause } from 'node:timers/promises'
import { SandlabError, ERROR_CODES, type ErrorCode } from '../domain/error.js'
import type { Operation } from '../domain/operation.js'
import { formatBytes } from '../domain/units.js'
import { operationAnswer } from './answers.js'
import type { Client } from './client.js'
import type { Io } from './io.js'
import { startProgress } from './progress.js'

const POLL_MS = 300

/**
 * Shows an operation until it has ended and returns it. Throws its error when it failed; `cancelled` on Ctrl-C, which
 * leaves the operation running: it belongs to the server.
 */
export async function followOperation(io: Io, client: Client, started: Operation): Promise<Operation> {
  const leave = new AbortController()
  const stopListening = io.onSignal(() => leave.abort())
  const progress = startProgress(io, started.title)
  let operation = started
  try {
    while (operation.state === 'running') {
      progress.update(describe(operation))
      await pause(POLL_MS, undefined, { signal: leave.signal })
      operation = (await client.get(`/api/operations/${operation.id}`, operationAnswer)).operation
    }
  } catch (error) {
    progress.clear()
    if (!leave.signal.aborted) throw error
    throw new SandlabError('cancelled', `"${operation.title}" goes on without you.`, {
      hint: `Look with "sandlabx operations show ${operation.id}", end it with "sandlabx operations cancel ${operation.id}".`,
    })
  } finally {
    stopListening()
  }
  if (operation.state === 'succeeded') progress.succeed(operation.title)
  else progress.fail(`${operation.title}: ${operation.state}`)
  throwUnlessDone(operation)
  return operation
}

/** `Build debian-12 · installing packages · 42 % · 120.0 MiB of 300.0 MiB`. */
export function describe(operation: Operation): string {
  const parts = [operation.title]
  if (operation.step) parts.push(operation.step)
  if (operation.progress !== null) parts.push(`${Math.floor(operation.progress * 100)} %`)
  if (operation.bytesDone !== null) {
    const total = operation.bytesTotal === null ? '' : ` of ${formatBytes(operation.bytesTotal)}`
    parts.push(`${formatBytes(operation.bytesDone)}${total}`)
  }
  return parts.join(' · ')
}

function throwUnlessDone(operation: Operation): void {
  if (operation.state === 'succeeded') return
  if (operation.state === 'cancelled') throw new SandlabError('cancelled', `"${operation.title}" was cancelled.`)
  if (operation.state === 'lost' || !operation.error) {
    throw new SandlabError('internal', `The backend ended in the middle of "${operation.title}".`, {
      hint: 'Look at what it made before you try again.',
    })
  }
  const { code, message, hint } = operation.error
  throw new SandlabError(Object.hasOwn(ERROR_CODES, code) ? (code as ErrorCode) : 'internal', message, { hint })
}
