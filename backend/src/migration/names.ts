import { nodeNameSchema } from '../domain/node.js'
import { loginSchema } from '../domain/user.js'

const LONGEST = 63

/** An old node's free text as a host name: `My Router #1` becomes `my-router-1`. Never empty. */
export function nodeNameOf(name: string, id: string): string {
  const plain = plainOf(name)
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, LONGEST)
    .replaceAll(/^-+|-+$/g, '')
  return nodeNameSchema.safeParse(plain).success ? plain : `node-${id.slice(0, 8)}`
}

/** A login from the first part of an e-mail address. Never empty. */
export function loginOf(email: string): string {
  const plain = plainOf(email.split('@')[0] ?? '')
    .replaceAll(/[^a-z0-9._-]+/g, '-')
    .replaceAll(/^[^a-z]+/g, '')
    .slice(0, 32)
  return loginSchema.safeParse(plain).success ? plain : 'user'
}

/** The name itself, or with the first number that makes it free. */
export function freeName(name: string, isTaken: (name: string) => boolean, longest = LONGEST): string {
  for (let count = 1; ; count += 1) {
    const suffix = count === 1 ? '' : `-${count}`
    const candidate = `${name.slice(0, longest - suffix.length).replace(/[-.]+$/, '')}${suffix}`
    if (!isTaken(candidate)) return candidate
  }
}

/** `Müller` as `muller`. */
function plainOf(text: string): string {
  return text.normalize('NFKD').replaceAll(/\p{M}/gu, '').toLowerCase()
}
