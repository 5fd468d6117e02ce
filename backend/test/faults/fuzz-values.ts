import type { Random } from './fuzz-random.js'

/** A tree of JSON whose keys may be anything, `__proto__` among them. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

export const HOSTILE_TEXTS: readonly string[] = [
  '',
  ' ',
  '\0',
  'a\0b',
  'a\nb',
  '\r\nSet-Cookie: a=b',
  '\u202eevil',
  '\ud800',
  '\udfff\ud800',
  '\ufeff',
  'ÄÖÜ',
  '𝕏'.repeat(40),
  'é',
  '﷽'.repeat(100),
  'a'.repeat(65),
  'a'.repeat(300),
  'a'.repeat(5000),
  '../../../etc/passwd',
  '..%2f..%2fetc%2fpasswd',
  '/etc/shadow',
  'json:{"driver":"file"}',
  'nbd:127.0.0.1:9',
  "'; DROP TABLE users; --",
  '$(id)',
  '`id`',
  '${7*7}',
  '{{7*7}}',
  '<script>alert(1)</script>',
  '%s%n%x',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'null',
  'undefined',
  'NaN',
  'true',
  '0',
  '-1',
  '1e400',
  '00000000-0000-0000-0000-000000000000',
  'ffffffff-ffff-ffff-ffff-ffffffffffff',
  '00000000-0000-4000-8000-000000000000',
  '2026-11-21T00:00:00.000Z',
  '+275760-09-13T00:00:00.001Z',
  'a,readonly=off',
  '-rf',
]

export const HOSTILE_NUMBERS: readonly number[] = [
  0,
  -0,
  -1,
  0.1,
  1e-300,
  2 ** 31,
  -(2 ** 31) - 1,
  2 ** 32,
  2 ** 53,
  2 ** 53 + 2,
  2 ** 63,
  1e21,
  1e308,
  -1e308,
]

export const PROTOTYPE_NAMES: readonly string[] = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'valueOf',
  'hasOwnProperty',
  'then',
  'toJSON',
  'length',
  'polluted',
  '',
  'a'.repeat(1000),
  'a\0b',
  '$where',
  '0',
]

/** Any value of any type. */
export function hostileValue(random: Random): Json {
  return random.pick<() => Json>([
    () => null,
    () => random.chance(0.5),
    () => random.pick(HOSTILE_NUMBERS),
    () => random.pick(HOSTILE_TEXTS),
    () => random.pick(HOSTILE_TEXTS) + random.pick(HOSTILE_TEXTS),
    () => [],
    () => ({}),
    () => Array.from({ length: random.whole(2000) }, () => random.whole(3)),
    () => [random.pick(HOSTILE_TEXTS), null, { a: [] }],
    () => ({ [random.pick(PROTOTYPE_NAMES)]: random.pick(HOSTILE_TEXTS) }),
    () => deep(random.pick([2, 20, 200, 1000]), random.chance(0.5)),
  ])()
}

function deep(levels: number, asList: boolean): Json {
  let value: Json = 'the ground'
  for (let level = 0; level < levels; level += 1) value = asList ? [value] : { a: value }
  return value
}

/** One change somewhere in a value; the value itself stays as it was. */
export function distorted(value: Json, random: Random): Json {
  if (random.chance(0.15) || typeof value !== 'object' || value === null) return hostileValue(random)
  if (Array.isArray(value)) return distortedList(value, random)
  const entries = Object.entries(value)
  const kind = random.whole(4)
  if (kind === 0) return fromPairs([...entries, [random.pick(PROTOTYPE_NAMES), hostileValue(random)]])
  if (entries.length === 0) return hostileValue(random)
  const [name, old] = random.pick(entries)
  if (kind === 1) return fromPairs(entries.filter(([other]) => other !== name))
  return fromPairs(entries.map(([other, one]) => [other, other === name ? distorted(old, random) : one]))
}

function distortedList(list: Json[], random: Random): Json {
  const kind = random.whole(3)
  if (kind === 0 || list.length === 0) return [...list, hostileValue(random)]
  // A list of lists, again and again, would soon have more bytes than anybody sends.
  const plain = list.filter((one) => typeof one !== 'object')
  if (kind === 1 && plain.length > 0) return Array.from({ length: 1 + random.whole(300) }, () => random.pick(plain))
  const at = random.whole(list.length)
  return list.map((one, index) => (index === at ? distorted(one, random) : one))
}

/** `__proto__` as a key of its own, which an object literal would take for the prototype. */
function fromPairs(pairs: [string, Json][]): Json {
  const object: { [key: string]: Json } = {}
  for (const [name, value] of pairs) {
    Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true })
  }
  return object
}
