import { hash, verify } from '@node-rs/argon2'
import { SandlabError } from '../domain/error.js'
import { createLimiter } from '../system/limiter.js'

/**
 * argon2id, 19 MiB, two passes, one lane: OWASP's Password Storage Cheat Sheet, about 20 ms here. (2 is the library's
 * `Algorithm.Argon2id`, a `const enum` that isolated modules can't read.)
 */
const COST = { algorithm: 2, memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const

/** Each one keeps a core and 19 MiB busy; the rest of the server goes on beside two. */
const AT_ONCE = 2
/** A whole school at one moment: 500 × 20 ms / 2 = 5 s. */
const MAX_WAITING = 500

const limiter = createLimiter(AT_ONCE)
let waiting = 0
let dummy: Promise<string> | undefined

/** PHC string with its own salt. Throws `too_many_requests` when too many wait. */
export function hashPassword(password: string): Promise<string> {
  return inTurn(() => hash(password, COST))
}

/**
 * False for a wrong password, and for none to compare with: that takes as long, so that the time of an answer does not
 * tell which logins exist. Throws `too_many_requests` when too many wait.
 */
export async function passwordMatches(passwordHash: string | undefined, password: string): Promise<boolean> {
  dummy ??= hash('nobody has this password', COST)
  const against = passwordHash ?? (await dummy)
  const matches = await inTurn(() => verify(against, password))
  return matches && passwordHash !== undefined
}

async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (waiting >= MAX_WAITING) {
    throw new SandlabError('too_many_requests', 'Too many people are signing in at this moment.', {
      hint: 'Try again in a few seconds.',
      details: { retryAfterSeconds: 5 },
    })
  }
  waiting += 1
  try {
    return await limiter.run(work)
  } finally {
    waiting -= 1
  }
}
