import type { Operation } from '@domain/operation.js'
import { addSample, type Sample } from './progress.js'

/** How the bytes of running operations grew, as seen by this page; what ended is forgotten. */
const samples = new Map<string, readonly Sample[]>()
const listeners = new Set<() => void>()
const NONE: readonly Sample[] = []

export function notePace(operation: Operation, now = Date.now()): void {
  if (operation.endedAt) samples.delete(operation.id)
  else if (operation.bytesDone !== null) {
    samples.set(operation.id, addSample(samples.get(operation.id) ?? NONE, { at: now, bytes: operation.bytesDone }))
  }
  for (const listener of listeners) listener()
}

export function samplesOf(operationId: string): readonly Sample[] {
  return samples.get(operationId) ?? NONE
}

export function onPace(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}
