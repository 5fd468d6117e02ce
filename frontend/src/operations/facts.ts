import type { Operation, OperationItem } from '@domain/operation.js'
import { formatDuration } from '@domain/units.js'
import { formatSize } from '../util/size.js'
import { elapsed } from '../util/time.js'

export type ItemCounts = Record<OperationItem['state'], number>

export function countItems(items: readonly OperationItem[]): ItemCounts {
  const counts: ItemCounts = { waiting: 0, running: 0, succeeded: 0, failed: 0, undone: 0 }
  for (const { state } of items) counts[state] += 1
  return counts
}

/** `12 of 30 done, 2 failed, 3 taken back`; null for what does not work on many. */
export function itemWords(items: readonly OperationItem[]): string | null {
  if (items.length < 2) return null
  const { succeeded, failed, undone } = countItems(items)
  const parts = [`${succeeded} of ${items.length} done`]
  if (failed > 0) parts.push(`${failed} failed`)
  if (undone > 0) parts.push(`${undone} taken back`)
  return parts.join(', ')
}

/** How far it is: as the server says, else by how many of its things are done. */
export function progressOf({ progress, items }: Operation): number | null {
  if (progress !== null || items.length < 2) return progress
  const { succeeded, failed, undone } = countItems(items)
  return (succeeded + failed + undone) / items.length
}

/** `1.2 GiB of 4.0 GiB`; null where no bytes are counted. */
export function byteWords({ bytesDone, bytesTotal }: Operation): string | null {
  if (bytesDone === null) return null
  return bytesTotal === null ? formatSize(bytesDone) : `${formatSize(bytesDone)} of ${formatSize(bytesTotal)}`
}

/** How long it took, or has been going on. */
export function tookWords({ startedAt, endedAt }: Pick<Operation, 'startedAt' | 'endedAt'>, now: number): string {
  const took = (endedAt ? Date.parse(endedAt) : now) - Date.parse(startedAt)
  return endedAt && took < 60_000 ? formatDuration(Math.max(0, took)).replace('.0 s', ' s') : elapsed(took)
}

/** How it ended, as sentences for people. */
export function endingWords(operation: Operation): string {
  const { state, error, outcome } = operation
  if (error) {
    const sentences = [error.message, error.hint]
    if (outcome === 'rolled-back' && !/taken back|nothing was (changed|kept)/i.test(error.message)) {
      sentences.push('All of it was taken back.')
    }
    return sentences.filter(Boolean).join(' ')
  }
  if (state === 'lost') return 'The server stopped in the middle of it. Look at the result before you go on.'
  if (state === 'cancelled') return 'Nothing was kept.'
  return [itemWords(operation.items), `took ${tookWords(operation, 0)}`].filter(Boolean).join(', ').replace(/^t/, 'T')
}

export const OUTCOME_WORDS: Record<NonNullable<Operation['outcome']>, string> = {
  committed: 'Committed',
  'rolled-back': 'Rolled back',
}

/** A step that the log names: when it began, and how long it took; null while it goes on. */
export interface Step {
  at: string
  text: string
  tookMs: number | null
}

export function stepsOf({ log, endedAt }: Pick<Operation, 'log' | 'endedAt'>): Step[] {
  return log.map(({ at, text }, index) => {
    const end = log[index + 1]?.at ?? endedAt
    return { at, text, tookMs: end ? Math.max(0, Date.parse(end) - Date.parse(at)) : null }
  })
}
