import { describe, expect, it } from '@jest/globals'
import { chooseAccelerator, KVM_LIMIT_MS, type Probe, type ProbeOutcome } from './accelerator.js'

const answered = (ms: number): ProbeOutcome => ({ answered: true, ms })
const silent = (ms: number): ProbeOutcome => ({ answered: false, ms, reason: `no answer in ${ms} ms` })

/** A machine on which probe boots end as listed; what was asked is noted. */
function machine(kvm: ProbeOutcome[] | 'absent', tcg: ProbeOutcome): Probe & { asked: string[] } {
  const left = kvm === 'absent' ? [] : [...kvm]
  const asked: string[] = []
  return {
    asked,
    kvmDevicePresent: async () => kvm !== 'absent',
    async boot(accelerator, limitMs) {
      asked.push(`${accelerator} ${limitMs}`)
      return accelerator === 'tcg' ? tcg : (left.shift() ?? silent(limitMs))
    },
  }
}

describe('the accelerator', () => {
  it('is KVM when a guest runs under it in time', async () => {
    const probe = machine([answered(40)], answered(70))
    expect(await chooseAccelerator('auto', probe)).toEqual({
      kind: 'kvm',
      ok: true,
      probeMs: 40,
      reason: 'KVM: a probe boot answered in 40 ms.',
    })
    expect(probe.asked).toEqual([`kvm ${KVM_LIMIT_MS}`])
  })

  it('is TCG when /dev/kvm opens and its guest says nothing, with the reason in words', async () => {
    const choice = await chooseAccelerator('auto', machine([silent(500)], answered(70)))
    expect(choice).toMatchObject({ kind: 'tcg', ok: true, probeMs: 70 })
    expect(choice.reason).toBe(
      '/dev/kvm is there, but a probe boot gave no answer in 500 ms: software or nested KVM.' +
        ' Under TCG the probe boot answered in 70 ms.',
    )
  })

  it.each([
    ['Could not access KVM kernel module: Permission denied', 'the user that runs QEMU may not open it.'],
    ['KVM internal error', 'a probe boot failed: KVM internal error.'],
  ])('is TCG when KVM fails at once with %j, which is told', async (reason, told) => {
    const choice = await chooseAccelerator('auto', machine([{ answered: false, ms: 12, reason }], answered(70)))
    expect(choice).toMatchObject({ kind: 'tcg', ok: true })
    expect(choice.reason).toMatch(`/dev/kvm is there, but ${told}`)
  })

  it('is TCG without a probe of KVM when there is no device', async () => {
    const probe = machine('absent', answered(70))
    expect(await chooseAccelerator('auto', probe)).toMatchObject({ kind: 'tcg', ok: true })
    expect(probe.asked).toEqual(['tcg 20000'])
  })

  it('asks KVM again, longer, on a machine too busy to tell', async () => {
    const probe = machine([silent(500), answered(600)], answered(900))
    expect(await chooseAccelerator('auto', probe)).toMatchObject({ kind: 'kvm', probeMs: 600 })
    expect(probe.asked).toEqual(['kvm 500', 'tcg 20000', 'kvm 1800'])
  })

  it('is never exchanged when it was chosen, and the report is true', async () => {
    expect(await chooseAccelerator('kvm', machine([silent(500)], answered(70)))).toMatchObject({
      kind: 'kvm',
      ok: false,
    })
    expect(await chooseAccelerator('kvm', machine('absent', answered(70)))).toMatchObject({ kind: 'kvm', ok: false })
    const probe = machine([answered(40)], answered(70))
    expect(await chooseAccelerator('tcg', probe)).toMatchObject({ kind: 'tcg', ok: true, probeMs: 70 })
    expect(probe.asked).toEqual(['tcg 20000'])
  })

  it('is none when no guest runs at all', async () => {
    const choice = await chooseAccelerator('auto', machine('absent', { answered: false, ms: 5, reason: 'no BIOS' }))
    expect(choice).toMatchObject({ ok: false, probeMs: null })
    expect(choice.reason).toContain('no BIOS')
  })
})
