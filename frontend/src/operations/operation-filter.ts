import type { Operation } from '@domain/operation.js'
import type { OPERATION_CHIPS } from '../search.js'

export type OperationChip = (typeof OPERATION_CHIPS)[number]

export interface OperationFilter {
  chips: readonly OperationChip[]
  kind: string | undefined
  text: string
}

export function operationChip(state: Operation['state']): OperationChip {
  if (state === 'running') return 'running'
  return state === 'succeeded' ? 'done' : 'trouble'
}

/** Each word of the text must be found in the title, the login, the id or a thing that it works on. */
export function filterOperations(operations: readonly Operation[], filter: OperationFilter): Operation[] {
  const words = filter.text.toLowerCase().split(/\s+/).filter(Boolean)
  return operations.filter((operation) => {
    if (filter.chips.length > 0 && !filter.chips.includes(operationChip(operation.state))) return false
    if (filter.kind !== undefined && operation.kind !== filter.kind) return false
    const { title, actorLogin, id, items } = operation
    const haystack = `${title} ${actorLogin} ${id} ${items.map(({ name }) => name).join(' ')}`.toLowerCase()
    return words.every((word) => haystack.includes(word))
  })
}
