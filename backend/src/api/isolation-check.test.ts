import { describe, expect, it } from '@jest/globals'
import { isolationFinding } from './isolation-check.js'

describe('the check of isolation', () => {
  const best = { users: 'node', network: 'own', internet: { ok: true } } as const

  it('is well when each node has a user and a network of its own', () => {
    expect(isolationFinding(best)).toMatchObject({ state: 'ok', hint: null })
  })

  const contained = { ...best, internet: { ok: false, reason: 'No network.' }, containers: { ok: true } } as const

  it('is well in containers, in which there is no internet by design', () => {
    const finding = isolationFinding(contained)
    expect(finding).toMatchObject({ state: 'ok', hint: null })
    expect(finding.message).toMatch(/container of its own.*internet are refused\. No network/)
  })

  it('has failed where containers can not be made', () => {
    const finding = isolationFinding({ ...contained, containers: { ok: false, reason: 'The broker is silent.' } })
    expect(finding).toMatchObject({ state: 'failed', message: expect.stringContaining('The broker is silent.') })
    expect(finding.hint).toMatch(/docker compose logs broker/)
  })

  it.each([
    [{ ...best, users: 'backend' } as const, /every disk and the state/, /as root or with Compose/],
    [{ ...best, users: 'shared' } as const, /other nodes' disks/, /65,536/],
    [{ ...best, network: 'host' } as const, /reach its ports/, /user namespaces/],
    [{ ...best, internet: { ok: false, reason: 'slirp4netns is missing.' } } as const, /refused.*missing/, /Install/],
  ])('warns of what is missing, and says what to do: %o', (isolation, message, hint) => {
    const finding = isolationFinding(isolation)
    expect(finding.state).toBe('warning')
    expect(finding.message).toMatch(message)
    expect(finding.hint).toMatch(hint)
  })
})
