import { reserveSpace } from '../storage/space.js'
import type { CloneIntent } from './clone-intent.js'
import { whatOf } from './clone-plan.js'
import type { NodesContext } from './context.js'
import { inTurn } from './turns.js'

/** Why a clone must not begin, told by its first step so that what an earlier process did is undone. */
const refusals = new Map<string, unknown>()

/** Alone on the source and on what is replaced, with room reserved. Clones of one source come one after the other. */
export function aroundClone(context: NodesContext, intent: CloneIntent, work: () => Promise<void>): Promise<void> {
  const { source, replaced, records } = intent
  // No two actions have one name: the second would be taken for the first.
  const action = `clone ${source.name} to ${records[0]?.name} (${intent.id.slice(0, 8)})`
  const locked = replaced
    .toSorted((one, other) => (one.id < other.id ? -1 : 1))
    .reduceRight<() => Promise<void>>(
      (inner, node) => () => context.locks.run(node.id, action, inner),
      () => withRoom(context, intent, work),
    )
  return inTurn(source.id, () => context.locks.run(source.id, action, locked))
}

export function refuseEarly(intent: CloneIntent): void {
  if (refusals.has(intent.id)) throw refusals.get(intent.id)
}

async function withRoom(context: NodesContext, intent: CloneIntent, work: () => Promise<void>): Promise<void> {
  let began = false
  const needs = [{ path: context.layout.overlays, bytes: intent.needBytes }]
  try {
    await reserveSpace(needs, whatOf(intent), () => {
      began = true
      return work()
    })
  } catch (error) {
    if (began) throw error
    refusals.set(intent.id, error)
    await work().finally(() => refusals.delete(intent.id))
  }
}
