import { isIPv6 } from 'node:net'
import { isSandlabError, SandlabError } from '../domain/error.js'

/** A failed attempt is forgotten this long after the last one. */
const WINDOW_MS = 10 * 60_000
/** Wrong passwords for one login from one address: the first few cost nothing, then each one costs longer. */
const FREE_FAILURES = 3
const MAX_FAILURES = 10
/** All logins together from one address: a classroom behind one router may mistype, a list of logins may not be tried. */
const MAX_FAILURES_PER_ADDRESS = 100
/** At most this many are remembered; the one that was quiet for longest is forgotten first. */
const MAX_REMEMBERED = 10_000

export interface SignInLimiter {
  /**
   * Runs `work` unless too many before it failed; `bad_credentials` counts as a failure. Throws `too_many_requests` with
   * `retryAfterSeconds` and does not run it then. Nobody is locked out by others: the right password from another
   * address works.
   */
  attempt<T>(who: { login: string; address: string }, work: () => Promise<T>): Promise<T>
}

interface Memory {
  failures: number
  /** Under way: they may all fail, so they count as if they had. */
  running: number
  blockedUntil: number
  forgetAt: number
}

/** `now` is monotonic milliseconds: setting the clock does not unlock anything. */
export function createSignInLimiter(now: () => number = () => performance.now()): SignInLimiter {
  const memories = new Map<string, Memory>()

  function recall(key: string): Memory {
    const at = now()
    const known = memories.get(key)
    const fresh = known && (known.forgetAt > at || known.running > 0)
    const memory = fresh ? known : { failures: 0, running: 0, blockedUntil: 0, forgetAt: at + WINDOW_MS }
    memories.delete(key)
    memories.set(key, memory) // to the end: the first key is the one quiet for longest
    if (memories.size > MAX_REMEMBERED) forgetQuietest(memories)
    return memory
  }

  function refuseIfBlocked(memory: Memory, maxFailures: number): void {
    const waitMs = memory.blockedUntil - now()
    if (waitMs > 0) throw tooMany(waitMs)
    // A burst is bounded by what is left, so that a thousand guesses at one moment are not a thousand free ones.
    if (memory.failures + memory.running >= maxFailures) throw tooMany(1000)
  }

  return {
    async attempt({ login, address }, work) {
      const from = networkOf(address)
      const ofLogin = recall(`${login.trim().toLowerCase().slice(0, 64)} ${from}`)
      const ofAddress = recall(from)
      refuseIfBlocked(ofLogin, MAX_FAILURES)
      refuseIfBlocked(ofAddress, MAX_FAILURES_PER_ADDRESS)
      for (const memory of [ofLogin, ofAddress]) memory.running += 1
      try {
        const result = await work()
        // Not so for the address: an attacker with one account of their own could always clear it.
        Object.assign(ofLogin, { failures: 0, blockedUntil: 0 })
        return result
      } catch (error) {
        if (isSandlabError(error, 'bad_credentials')) {
          remember(ofLogin, now(), FREE_FAILURES, MAX_FAILURES)
          remember(ofAddress, now(), MAX_FAILURES_PER_ADDRESS, MAX_FAILURES_PER_ADDRESS)
        }
        throw error
      } finally {
        for (const memory of [ofLogin, ofAddress]) memory.running -= 1
      }
    },
  }
}

function remember(memory: Memory, at: number, freeFailures: number, maxFailures: number): void {
  memory.failures += 1
  memory.forgetAt = at + WINDOW_MS
  if (memory.failures >= maxFailures) {
    memory.blockedUntil = at + WINDOW_MS
  } else if (memory.failures > freeFailures) {
    memory.blockedUntil = at + 1000 * 2 ** (memory.failures - freeFailures - 1)
  }
}

function forgetQuietest(memories: Map<string, Memory>): void {
  for (const [key, memory] of memories) {
    if (memory.running > 0) continue
    memories.delete(key)
    return
  }
}

/** An IPv6 customer has a whole /64 to change addresses in; `::ffff:192.0.2.1` is that IPv4 address. */
function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  if (mapped !== undefined) return mapped
  if (!isIPv6(address)) return address.slice(0, 64)
  const [head = '', tail] = address.toLowerCase().split('%')[0]?.split('::') ?? []
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length
  return [...left, ...Array.from({ length: zeros }, () => '0'), ...right]
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')
}

function tooMany(waitMs: number): SandlabError {
  const retryAfterSeconds = Math.ceil(waitMs / 1000)
  return new SandlabError('too_many_requests', 'Too many attempts to sign in failed.', {
    hint: `Wait ${retryAfterSeconds} s, then try again; or ask an administrator for a new password.`,
    details: { retryAfterSeconds },
  })
}
