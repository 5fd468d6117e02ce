import { knownCode, SandlabError } from '../domain/error.js'
import type { Operation } from '../domain/operation.js'
import { oneLine } from './text.js'

/** Of a bulk operation that went on without some: throws what went wrong with the first. `done`: `reset`. */
export function throwIfItemsFailed({ items }: Pick<Operation, 'items'>, done: string): void {
  const failed = items.filter(({ error }) => error !== null)
  const [first] = failed
  if (!first?.error) return
  const { code, message, hint } = first.error
  const which = items.length === 1 ? first.name : `${failed.length} of ${items.length}`
  throw new SandlabError(knownCode(code), `${which} could not be ${done}: ${oneLine(message)}`, { hint })
}
