import { createHash, randomBytes } from 'node:crypto'

/** 256 bits, URL-safe. */
export function newSecret(): string {
  return randomBytes(32).toString('base64url')
}

/** What the database keeps of a secret. No salt or slow hash: 256 random bits can't be guessed from it. */
export function secretHash(secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}

/** Exactly what newSecret makes; anything else needs no look at the database. */
export function looksLikeSecret(text: string): boolean {
  return /^[\w-]{43}$/.test(text)
}
