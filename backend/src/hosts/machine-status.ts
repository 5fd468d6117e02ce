import type { BlockAnswer } from '../system/qmp-messages.js'
import type { Phase } from './engine.js'

/** QEMU's run state (qapi/run-state.json, RunState) in the contract's words. Pure. */
export function phaseOfStatus(status: string, diskError: string | null): { phase: Phase; reason: string | null } {
  if (status === 'running') return { phase: 'running', reason: null }
  if (status === 'prelaunch' || status === 'inmigrate') return { phase: 'starting', reason: null }
  if (status === 'shutdown') return { phase: 'stopping', reason: null }
  return { phase: 'paused', reason: pauseReason(status, diskError) }
}

function pauseReason(status: string, diskError: string | null): string {
  if (status === 'io-error') return diskError ?? 'An error of the disk paused it.'
  return PAUSES[status] ?? `QEMU has paused it (${status}).`
}

const PAUSES: Record<string, string> = {
  paused: 'It was paused over QMP.',
  'internal-error': 'QEMU can no longer run its CPU (internal error). Only a restart helps.',
  'guest-panicked': "The guest's kernel has panicked.",
  watchdog: "The guest's watchdog has paused it.",
  suspended: 'The guest has put itself to sleep.',
}

/** Why QEMU stopped the guest at a disk, from its BLOCK_IO_ERROR event. Pure. */
export function diskErrorOf(event: { operation: string; nospace?: boolean | undefined; reason: string }): string {
  if (event.nospace === true) return DISK_FULL
  return `The host's disk failed to ${event.operation}: ${event.reason || 'no reason given'}.`
}

/** The same, for a node that was found paused: from `query-block`. Null when no disk is in error. Pure. */
export function diskErrorInBlocks(blocks: BlockAnswer): string | null {
  const states = blocks.map((block) => block['io-status'])
  if (states.includes('nospace')) return DISK_FULL
  return states.includes('failed') ? "The host's disk failed while the guest used it." : null
}

/** The engine resumes such a node by itself once there is room (watch.ts). */
export const DISK_FULL =
  "The host's disk is full: the guest was paused and lost nothing. Free some space, and it goes on by itself."
