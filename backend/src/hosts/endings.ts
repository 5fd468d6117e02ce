import type { EngineNode, StopResult } from './engine.js'
import type { Run } from './run.js'
import { newestLines } from './run-logs.js'

type How = NonNullable<EngineNode['ended']>['how']
type Evidence = Pick<Run, 'rung' | 'shutdown' | 'exit' | 'child'>

/**
 * What ended a run, from what was asked, QEMU's SHUTDOWN event and the exit of the child. Pure.
 *
 * | asked to stop | SHUTDOWN | it was |
 * |---|---|---|
 * | yes | by the guest | asked |
 * | yes | anything else | forced |
 * | no | by the guest, no panic | guest |
 * | no | anything else, or none | crashed |
 */
export function endingOf(evidence: Evidence, qemuLog: string): { how: How; reason: string } {
  const { rung, shutdown } = evidence
  if (rung !== null) {
    return shutdown?.guest === true
      ? { how: 'asked', reason: 'The guest shut down, as it was asked to.' }
      : { how: 'forced', reason: FORCED[rungOf(evidence)] }
  }
  if (shutdown?.guest === true && shutdown.reason !== 'guest-panic') {
    return { how: 'guest', reason: 'The guest powered itself off.' }
  }
  const lastWords = newestLines(qemuLog, 5)
  return { how: 'crashed', reason: crashReason(evidence) + (lastWords && ` QEMU's last lines:\n${lastWords}`) }
}

/** Of a node whose memory was saved before. */
export const SUSPENDED = { how: 'asked', reason: 'It was suspended: its memory is kept.' } as const

/** The rung of the stop ladder that did it, by evidence, not by what was tried last. Pure. */
export function rungOf(evidence: Evidence): Exclude<StopResult['how'], 'already-stopped'> {
  const { shutdown, exit, rung } = evidence
  if (shutdown?.guest === true) return 'guest-shutdown'
  if (exit?.signal === 'SIGKILL') return 'sigkill'
  if (shutdown?.reason === 'host-signal' || exit?.signal === 'SIGTERM') return 'sigterm'
  if (shutdown) return 'quit'
  // An adopted process that ended without a word: the rung that was being tried, or a kill from outside.
  return rung === null || rung === 'guest-shutdown' ? 'sigkill' : rung
}

const FORCED: Record<Exclude<StopResult['how'], 'already-stopped'>, string> = {
  'guest-shutdown': 'The guest shut down.',
  quit: 'It was switched off.',
  sigterm: 'QEMU did not answer and was ended with SIGTERM.',
  sigkill: 'QEMU did not answer and was ended with SIGKILL.',
}

function crashReason({ shutdown, exit, child }: Evidence): string {
  if (shutdown?.reason === 'guest-panic') return "The guest's kernel panicked."
  if (shutdown?.reason === 'host-signal') return 'QEMU was ended by a signal that SandLabX did not send.'
  if (shutdown?.reason === 'host-qmp-quit') return 'QEMU was told over QMP to quit, not by SandLabX.'
  if (shutdown) return `QEMU ended (${shutdown.reason}).`
  if (exit?.signal === 'SIGKILL') {
    return 'QEMU was killed (SIGKILL): by the kernel for want of memory, or by an administrator.'
  }
  if (exit?.signal) return `QEMU crashed (${exit.signal}).`
  if (exit?.code) return `QEMU ended with exit code ${exit.code}.`
  return child ? 'QEMU ended without a reason.' : 'QEMU ended without a word: it was killed, or crashed.'
}
