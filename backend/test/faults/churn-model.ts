export type ChurnFact = { kind: 'begins'; id: number; gone: string[]; made: string[] } | { kind: 'done'; id: number }

/** What must be there, told by what was begun and what was acknowledged. */
export interface ChurnModel {
  hear(fact: ChurnFact): void
  acknowledged(): number
  /** What is wrong with a list of nodes that was found. */
  judge(found: ReadonlySet<string>): { lost: string[]; half: string[] }
  /** As it is now, for ever. */
  copy(): ChurnModel
}

export function createChurnModel(
  open = new Map<number, { gone: string[]; made: string[] }>(),
  there = new Set<string>(),
  away = new Set<string>(),
  before = 0,
): ChurnModel {
  let done = before
  return {
    acknowledged: () => done,
    copy: () => createChurnModel(new Map(open), new Set(there), new Set(away), done),
    hear(fact) {
      if (fact.kind === 'begins') {
        open.set(fact.id, fact)
        for (const name of fact.gone) there.delete(name)
        return
      }
      const change = open.get(fact.id)
      open.delete(fact.id)
      done += 1
      for (const name of change?.made ?? []) there.add(name)
      for (const name of change?.gone ?? []) away.add(name)
    },
    judge(found) {
      const lost = [...there]
        .filter((name) => !found.has(name))
        .map((name) => `${name} was acknowledged and is not there`)
      for (const name of away) if (found.has(name)) lost.push(`${name} was acknowledged to be gone and is there`)
      const half: string[] = []
      for (const { gone, made } of open.values()) {
        const isBefore = gone.every((name) => found.has(name)) && !made.some((name) => found.has(name))
        const isAfter = !gone.some((name) => found.has(name)) && made.every((name) => found.has(name))
        if (!isBefore && !isAfter) half.push(`[${gone.join(' ')}] → [${made.join(' ')}] is there in part`)
      }
      return { lost, half }
    },
  }
}
