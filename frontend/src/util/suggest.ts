/** Short, easy to say and to type; two of them make a node's name. */
const FIRST = ['amber', 'brisk', 'calm', 'clear', 'coral', 'dusky', 'early', 'fern', 'glad', 'hazel', 'ivory', 'jade',
  'keen', 'lunar', 'maple', 'north', 'olive', 'plain', 'quick', 'rapid', 'sage', 'tidy', 'umber', 'vivid', 'warm'] // prettier-ignore
const SECOND = ['acorn', 'badger', 'beacon', 'birch', 'comet', 'crane', 'delta', 'ember', 'falcon', 'harbor', 'heron',
  'island', 'juniper', 'kestrel', 'lark', 'meadow', 'otter', 'pebble', 'quartz', 'raven', 'river', 'spruce', 'tern', 'willow'] // prettier-ignore

/** A free name such as `calm-heron`. */
export function suggestName(taken: ReadonlySet<string>, random: () => number = Math.random): string {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const name = `${pick(FIRST, random)}-${pick(SECOND, random)}`
    if (!taken.has(name)) return name
  }
  for (let number = 1; ; number += 1) if (!taken.has(`node-${number}`)) return `node-${number}`
}

// No look-alikes (0 O, 1 l I), nothing that keyboard layouts move.
const LETTERS = 'abcdefghjkmnpqrstuvwx23456789'

/** A password for people who read it from one screen and type it into another: `k7mr-3hxp-9wqe`, about 58 bits. */
export function generatePassword(randomBytes: (count: number) => Uint8Array = secureBytes): string {
  const limit = 256 - (256 % LETTERS.length)
  const letters: string[] = []
  while (letters.length < 12) {
    for (const byte of randomBytes(16)) {
      if (byte < limit && letters.length < 12) letters.push(LETTERS[byte % LETTERS.length] ?? '')
    }
  }
  return [letters.slice(0, 4), letters.slice(4, 8), letters.slice(8)].map((group) => group.join('')).join('-')
}

function secureBytes(count: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(count))
}

function pick(words: readonly string[], random: () => number): string {
  return words[Math.floor(random() * words.length)] ?? 'node'
}
