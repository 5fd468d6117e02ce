import { formatDuration } from '../domain/units.js'
import type { Accelerator } from './machine.js'

export type AcceleratorSetting = 'auto' | Accelerator

export interface AcceleratorChoice {
  kind: Accelerator
  /** Whether a probe guest ran: nodes can be started. */
  ok: boolean
  /** In words, with figures: shown to people. */
  reason: string
  /** How long the chosen one took to answer; null when none did. */
  probeMs: number | null
}

/** What became of one probe guest. */
export type ProbeOutcome = { answered: true; ms: number } | { answered: false; ms: number; reason: string }

export interface Probe {
  kvmDevicePresent(): Promise<boolean>
  /** Boots a sector that prints on the serial line; resolves with what happened within the limit, never rejects. */
  boot(accelerator: Accelerator, limitMs: number): Promise<ProbeOutcome>
}

/** A hardware KVM answers in well under 100 ms; a nested or software one took 3 s or hung. */
export const KVM_LIMIT_MS = 500
const TCG_LIMIT_MS = 20_000

/**
 * Chooses how guests run by letting one run. That /dev/kvm can be opened says nothing: a nested or software KVM opens
 * and then hangs the guest, and `accel=kvm:tcg` falls back only when opening fails. A set accelerator is probed as
 * well, so that the report is true, but never exchanged for the other.
 */
export async function chooseAccelerator(setting: AcceleratorSetting, probe: Probe): Promise<AcceleratorChoice> {
  if (setting === 'tcg') return useTcg(await probe.boot('tcg', TCG_LIMIT_MS), 'TCG was chosen in the settings.')
  if (!(await probe.kvmDevicePresent())) {
    if (setting === 'kvm') return noKvm('KVM was chosen in the settings, but there is no /dev/kvm.')
    return useTcg(await probe.boot('tcg', TCG_LIMIT_MS), 'There is no /dev/kvm.')
  }
  const kvm = await probe.boot('kvm', KVM_LIMIT_MS)
  if (kvm.answered) return useKvm(kvm.ms)
  if (setting === 'kvm') return noKvm(`KVM was chosen in the settings. ${withoutKvm(kvm, KVM_LIMIT_MS)}`)

  const tcg = await probe.boot('tcg', TCG_LIMIT_MS)
  // A machine so busy that even TCG takes longer than KVM's limit has shown nothing about KVM: ask again, longer.
  if (tcg.answered && tcg.ms > KVM_LIMIT_MS) {
    const limitMs = Math.min(2 * tcg.ms, TCG_LIMIT_MS)
    const again = await probe.boot('kvm', limitMs)
    return again.answered ? useKvm(again.ms) : useTcg(tcg, withoutKvm(again, limitMs))
  }
  return useTcg(tcg, withoutKvm(kvm, KVM_LIMIT_MS))
}

function withoutKvm(outcome: { ms: number; reason: string }, limitMs: number): string {
  if (outcome.ms >= limitMs) {
    return `/dev/kvm is there, but a probe boot gave no answer in ${formatDuration(limitMs)}: software or nested KVM.`
  }
  if (outcome.reason.includes('Permission denied')) {
    return '/dev/kvm is there, but the user that runs QEMU may not open it.'
  }
  return `/dev/kvm is there, but a probe boot failed: ${outcome.reason}.`
}

function useKvm(ms: number): AcceleratorChoice {
  return { kind: 'kvm', ok: true, probeMs: ms, reason: `KVM: a probe boot answered in ${formatDuration(ms)}.` }
}

function noKvm(reason: string): AcceleratorChoice {
  return { kind: 'kvm', ok: false, probeMs: null, reason }
}

function useTcg(outcome: ProbeOutcome, why: string): AcceleratorChoice {
  if (outcome.answered) {
    const reason = `${why} Under TCG the probe boot answered in ${formatDuration(outcome.ms)}.`
    return { kind: 'tcg', ok: true, probeMs: outcome.ms, reason }
  }
  return { kind: 'tcg', ok: false, probeMs: null, reason: `${why} Under TCG the probe boot failed: ${outcome.reason}.` }
}
