import { createHash } from 'node:crypto'
import type { Request } from 'express'
import { SandlabError } from '../domain/error.js'
import type { Subject } from '../domain/user.js'

/** A request that may be repeated: `key` as the client sent it, `hash` the sha256 of what it asks for, in hex. */
export interface RequestKey {
  key: string
  hash: string
}

const KEY = /^[\x21-\x7e]{1,200}$/

/** From the `Idempotency-Key` header of a POST; null without one. Throws `bad_request` for one that can't be a key. */
export function requestKeyOf(request: Request): RequestKey | null {
  const key = request.headers['idempotency-key']
  if (key === undefined || request.method !== 'POST') return null
  if (typeof key !== 'string' || !KEY.test(key)) {
    throw new SandlabError('bad_request', 'The Idempotency-Key must be 1 to 200 visible ASCII characters.', {
      hint: 'A fresh UUID for each new request is a good one.',
    })
  }
  const body: unknown = request.body
  const asked = `${request.originalUrl}\n${JSON.stringify(body ?? null)}`
  return { key, hash: createHash('sha256').update(asked).digest('hex') }
}

/**
 * The newest answers, in memory: a repeated request gets the same one, and one that comes while the first is under way
 * waits for it. A failure is not kept: trying again is what a retry is for. Operations that the journal knows are
 * recognised by their key after a restart as well, so that nothing is made twice.
 */
export interface Answers {
  /** `replayed`: `work` was not called. Throws `key_reused` for the same key with another request. */
  once(
    subject: Subject,
    asked: RequestKey,
    work: () => Promise<unknown>,
  ): Promise<{ value: unknown; replayed: boolean }>
}

const KEPT = 5000
const KEPT_MS = 3_600_000

export function createAnswers(now: () => number = () => performance.now()): Answers {
  const answers = new Map<string, { hash: string; at: number; value: Promise<unknown> }>() // oldest first

  function forgetOld(): void {
    for (const [name, { at }] of answers) {
      if (answers.size <= KEPT && now() - at < KEPT_MS) return
      answers.delete(name)
    }
  }

  return {
    async once(subject, asked, work) {
      forgetOld()
      const name = `${subject.userId} ${asked.key}`
      const known = answers.get(name)
      if (known && known.hash !== asked.hash) {
        throw new SandlabError('key_reused', 'This Idempotency-Key came with another request before.', {
          hint: 'Send a new key with each new request; the same only to repeat the very same one.',
        })
      }
      if (known) return { value: await known.value, replayed: true }
      const value = work()
      answers.set(name, { hash: asked.hash, at: now(), value })
      try {
        return { value: await value, replayed: false }
      } catch (error) {
        answers.delete(name)
        throw error
      }
    },
  }
}
