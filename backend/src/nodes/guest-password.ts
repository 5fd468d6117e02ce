/** No look-alikes (0 o, 1 l i), and keys that sit in the same place on most layouts: it is typed into a console. */
const LETTERS = 'abcdefghjkmnpqrstuvwx'
const DIGITS = '23456789'

/** `kmrt-4827-hpxd`: 8 letters and 4 digits, about 47 bits. The same for the same seed of at least 24 random bytes. */
export function generatePassword(seed: Buffer): string {
  const pick = (from: string, count: number, at: number) =>
    Array.from({ length: count }, (_, i) => from.charAt(seed.readUInt16BE(2 * (at + i)) % from.length)).join('')
  return `${pick(LETTERS, 4, 0)}-${pick(DIGITS, 4, 4)}-${pick(LETTERS, 4, 8)}`
}
