import { describe, expect, it } from '@jest/globals'
import { isolationFinding } from './isolation-check.js'

describe('the check of isolation', () => {
  const best = { users: 'node', network: 'own', internet: { ok: true } } as const

  it('is well when each node has a user and a network of its own', () => {
    expect(isolationFinding(best)).toMatchObject({ state: 'ok', hint: null })
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
