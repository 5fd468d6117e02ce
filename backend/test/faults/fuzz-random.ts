/** A source of chance that gives the same again for the same seed, so that whatever it found can be found again. */
export interface Random {
  /** 0 to 1, 1 excluded. */
  next(): number
  /** 0 to `below`, excluded; whole. */
  whole(below: number): number
  chance(probability: number): boolean
  /** Throws on an empty list. */
  pick<T>(list: readonly T[]): T
  bytes(length: number): Buffer
}

/** Mulberry32 over a seed and an index: case 9,000 of a run needs none of the 8,999 before it. */
export function seeded(seed: number, index = 0): Random {
  let state = (Math.imul(seed | 0, 0x9e37_79b1) ^ Math.imul((index + 1) | 0, 0x85eb_ca6b)) | 0
  const next = () => {
    state = (state + 0x6d2b_79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const whole = (below: number) => Math.floor(next() * below)
  return {
    next,
    whole,
    chance: (probability) => next() < probability,
    pick(list) {
      const one = list[whole(list.length)]
      if (one === undefined) throw new Error('nothing to pick from')
      return one
    },
    bytes: (length) => Buffer.from(Array.from({ length }, () => whole(256))),
  }
}
