import { randomInt } from 'node:crypto'

/** No look-alikes (0 o, 1 l i), and keys that sit in the same place on most layouts: it is typed into a console. */
const LETTERS = 'abcdefghjkmnpqrstuvwx'
const DIGITS = '23456789'

/** `kmrt-4827-hpxd`: 8 letters and 4 digits, about 47 bits. */
export function generatePassword(): string {
  return `${pick(LETTERS, 4)}-${pick(DIGITS, 4)}-${pick(LETTERS, 4)}`
}

function pick(from: string, count: number): string {
  return Array.from({ length: count }, () => from.charAt(randomInt(from.length))).join('')
}
