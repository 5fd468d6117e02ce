import { describe, expect, it } from '@jest/globals'
import type { ChildProcess } from 'node:child_process'
import { endingOf, rungOf } from './endings.js'

type Evidence = Parameters<typeof endingOf>[0]
const CHILD = {} as ChildProcess // only its being there counts
const byGuest = { guest: true, reason: 'guest-shutdown' }
const evidence = (parts: Partial<Evidence>): Evidence => ({
  rung: null,
  shutdown: null,
  exit: null,
  child: CHILD,
  ...parts,
})

describe('the end of a node', () => {
  it.each<[string, Partial<Evidence>, string, RegExp]>([
    ['the guest, unasked', { shutdown: byGuest, exit: { code: 0, signal: null } }, 'guest', /powered itself off/],
    ['the guest, asked', { rung: 'guest-shutdown', shutdown: byGuest }, 'asked', /was asked/],
    ['the guest, in the last moment', { rung: 'quit', shutdown: byGuest }, 'asked', /was asked/],
    ['quit', { rung: 'quit', shutdown: { guest: false, reason: 'host-qmp-quit' } }, 'forced', /switched off/],
    ['SIGTERM of ours', { rung: 'sigterm', shutdown: { guest: false, reason: 'host-signal' } }, 'forced', /SIGTERM/],
    ['SIGKILL of ours', { rung: 'sigkill', exit: { code: null, signal: 'SIGKILL' } }, 'forced', /SIGKILL/],
    ['a foreign SIGKILL', { exit: { code: null, signal: 'SIGKILL' } }, 'crashed', /SIGKILL.*memory/],
    [
      'a foreign SIGTERM',
      { shutdown: { guest: false, reason: 'host-signal' } },
      'crashed',
      /signal that SandLabX did not/,
    ],
    ['a foreign quit', { shutdown: { guest: false, reason: 'host-qmp-quit' } }, 'crashed', /not by SandLabX/],
    ['a fault of QEMU', { exit: { code: null, signal: 'SIGSEGV' } }, 'crashed', /crashed \(SIGSEGV\)/],
    ['an exit of QEMU', { exit: { code: 1, signal: null } }, 'crashed', /exit code 1/],
    ['a panic', { shutdown: { guest: true, reason: 'guest-panic' } }, 'crashed', /panicked/],
    ['an adopted one, without a word', { child: null }, 'crashed', /without a word/],
  ])('by %s is told as such', (_, parts, how, reason) => {
    const ending = endingOf(evidence(parts), '')
    expect(ending.how).toBe(how)
    expect(ending.reason).toMatch(reason)
  })

  it('has the last lines of QEMU when it crashed, and only then', () => {
    const log = Array.from({ length: 9 }, (_, n) => `line ${n}`).join('\n')
    expect(endingOf(evidence({ exit: { code: 1, signal: null } }), log).reason).toMatch(/lines:\nline 4\n.*line 8$/s)
    expect(endingOf(evidence({ shutdown: byGuest }), log).reason).not.toContain('line')
  })

  it('names the rung that did it, not the one that was tried last', () => {
    expect(rungOf(evidence({ rung: 'quit', shutdown: byGuest }))).toBe('guest-shutdown')
    expect(rungOf(evidence({ rung: 'sigterm', shutdown: { guest: false, reason: 'host-qmp-quit' } }))).toBe('quit')
    expect(rungOf(evidence({ rung: 'guest-shutdown', exit: { code: null, signal: 'SIGKILL' } }))).toBe('sigkill')
    expect(rungOf(evidence({ rung: 'sigterm', child: null }))).toBe('sigterm')
  })
})
