import { createHash, randomBytes } from 'node:crypto'
import { type ConsoleKind, type ConsoleMode, type ScreenEngine, TICKET_LIFETIME_MS } from '../domain/console.js'
import { SandlabError } from '../domain/error.js'
import type { NodeId, UserId } from '../domain/ids.js'
import type { Subject } from '../domain/user.js'

/** What one ticket opens, and for whom. */
export interface TicketClaims {
  userId: UserId
  credentialId: string
  nodeId: NodeId
  kind: ConsoleKind
  mode: ConsoleMode
  engine: ScreenEngine
}

export interface Tickets {
  /** 256 random bits, base64url; only their SHA-256 is kept. Throws `too_many_requests` when too many are unused. */
  issue(claims: TicketClaims): string
  /**
   * Spends a ticket. Undefined when it is unknown, used, expired or another's; then it is spent all the same, because
   * whoever shows it should not have had it.
   */
  redeem(ticket: string, subject: Pick<Subject, 'userId' | 'credentialId'>): TicketClaims | undefined
  revoke(matches: (claims: TicketClaims) => boolean): void
  readonly unused: number
}

export const MAX_UNUSED_TICKETS = 20_000
export const MAX_UNUSED_TICKETS_PER_USER = 100
const TICKET = /^[A-Za-z0-9_-]{43}$/

/** `nowMs` must be monotonic: a clock that is set back must not make a ticket live longer. */
export function createTickets(nowMs: () => number = () => performance.now()): Tickets {
  // All live equally long, so the map's order is the order of expiry.
  const byHash = new Map<string, TicketClaims & { expiresAtMs: number }>()

  function dropExpired(): void {
    const now = nowMs()
    for (const [hash, { expiresAtMs }] of byHash) {
      if (expiresAtMs > now) return
      byHash.delete(hash)
    }
  }

  return {
    issue(claims) {
      dropExpired()
      if (byHash.size >= MAX_UNUSED_TICKETS || countOf(byHash.values(), claims.userId) >= MAX_UNUSED_TICKETS_PER_USER) {
        throw new SandlabError('too_many_requests', 'Too many console tickets wait to be used.', {
          hint: `Unused tickets end after ${TICKET_LIFETIME_MS / 1000} s; try again then.`,
        })
      }
      const ticket = randomBytes(32).toString('base64url')
      byHash.set(hashOf(ticket), { ...claims, expiresAtMs: nowMs() + TICKET_LIFETIME_MS })
      return ticket
    },
    redeem(ticket, subject) {
      if (!TICKET.test(ticket)) return undefined
      const hash = hashOf(ticket)
      const found = byHash.get(hash)
      if (!found) return undefined
      byHash.delete(hash)
      const { expiresAtMs, ...claims } = found
      const isTheirs = claims.userId === subject.userId && claims.credentialId === subject.credentialId
      return isTheirs && expiresAtMs > nowMs() ? claims : undefined
    },
    revoke(matches) {
      for (const [hash, claims] of byHash) if (matches(claims)) byHash.delete(hash)
    },
    get unused() {
      dropExpired()
      return byHash.size
    },
  }
}

function hashOf(ticket: string): string {
  return createHash('sha256').update(ticket).digest('base64')
}

function countOf(claims: Iterable<TicketClaims>, userId: string): number {
  let count = 0
  for (const claim of claims) if (claim.userId === userId) count += 1
  return count
}
