import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { isSandlabError, type SandlabError } from '../domain/error.js'

/** Pauses before the same request is sent once more; then we give up. */
const RETRY_AFTER_MS = [300, 1000, 2500]

/**
 * The keys of one command's POST requests: `given` for the first and derived from it for those that follow, so that the
 * same command line sends the same keys; fresh ones without.
 */
export function createKeys(given: string | undefined): () => string {
  let count = 0
  return () => {
    count += 1
    if (given === undefined) return randomUUID()
    return count === 1 ? given : `${given}:${count}`
  }
}

/**
 * Sends a request that carries an Idempotency-Key again when its answer got lost or SandLabX is just starting: the key
 * makes that safe. Any other refusal is final. `tell` hears of each new attempt.
 */
export async function withRetries<T>(send: () => Promise<T>, tell: (text: string) => void): Promise<T> {
  for (const waitMs of RETRY_AFTER_MS) {
    try {
      return await send()
    } catch (error) {
      if (!isSandlabError(error) || !mayPass(error)) throw error
      tell(`${error.message} Trying again.`)
      await pause(waitMs)
    }
  }
  return send()
}

function mayPass(error: SandlabError): boolean {
  if (error.code === 'starting_up') return true
  // Whoever waited five minutes for one answer does not want to wait for four.
  const timedOut = error.cause instanceof Error && error.cause.name === 'TimeoutError'
  return error.code === 'unreachable' && !timedOut
}
