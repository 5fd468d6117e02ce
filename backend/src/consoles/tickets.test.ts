import { randomBytes } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import type { NodeId, UserId } from '../domain/ids.js'
import { createTickets, MAX_UNUSED_TICKETS_PER_USER, type TicketClaims } from './tickets.js'

const ann: TicketClaims = {
  userId: '00000000-0000-4000-8000-00000000000a' as UserId,
  credentialId: 'session-1',
  nodeId: '00000000-0000-4000-8000-0000000000aa' as NodeId,
  kind: 'serial',
  mode: 'view',
  engine: 'direct',
}

describe('tickets', () => {
  it('opens exactly what it was issued for, once', () => {
    const tickets = createTickets()
    const ticket = tickets.issue(ann)
    expect(ticket).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect(tickets.redeem(ticket, ann)).toEqual(ann)
    expect(tickets.redeem(ticket, ann)).toBeUndefined()
  })

  it('ends after 30 s of the monotonic clock', () => {
    let now = 1000
    const tickets = createTickets(() => now)
    const early = tickets.issue(ann)
    const late = tickets.issue(ann)
    now += 29_999
    expect(tickets.redeem(early, ann)).toEqual(ann)
    now += 1
    expect(tickets.redeem(late, ann)).toBeUndefined()
    expect(tickets.unused).toBe(0)
  })

  it('is refused to another person and to another sign-in of the same person, and is spent by the attempt', () => {
    const tickets = createTickets()
    for (const stranger of [
      { ...ann, userId: '00000000-0000-4000-8000-00000000000b' as UserId },
      { ...ann, credentialId: 'session-2' },
    ]) {
      const ticket = tickets.issue(ann)
      expect(tickets.redeem(ticket, stranger)).toBeUndefined()
      expect(tickets.redeem(ticket, ann)).toBeUndefined()
    }
  })

  it('accepts none of 10,000 forgeries and replays', () => {
    const tickets = createTickets()
    const used = tickets.issue(ann)
    tickets.redeem(used, ann)
    tickets.issue(ann)
    const tries = [...Array(5000).keys()].flatMap(() => [randomBytes(32).toString('base64url'), used])
    expect(tries.filter((ticket) => tickets.redeem(ticket, ann))).toHaveLength(0)
    for (const odd of ['', 'a', '__proto__', 'x'.repeat(1_000_000), `${used}=`, `${used}\0`]) {
      expect(tickets.redeem(odd, ann)).toBeUndefined()
    }
  })

  it('keeps a bounded number for each person, and takes new ones when old ones have ended', () => {
    let now = 0
    const tickets = createTickets(() => now)
    for (let count = 0; count < MAX_UNUSED_TICKETS_PER_USER; count += 1) tickets.issue(ann)
    expect(() => tickets.issue(ann)).toThrow(expect.objectContaining({ code: 'too_many_requests' }))
    expect(tickets.issue({ ...ann, userId: '00000000-0000-4000-8000-00000000000b' as UserId })).toBeTruthy()
    now = 30_001
    expect(tickets.issue(ann)).toBeTruthy()
    expect(tickets.unused).toBe(1)
  })

  it('can be revoked before it is used', () => {
    const tickets = createTickets()
    const ticket = tickets.issue(ann)
    tickets.revoke((claims) => claims.credentialId === 'session-1')
    expect(tickets.redeem(ticket, ann)).toBeUndefined()
  })
})
