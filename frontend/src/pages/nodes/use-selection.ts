import type { NodeView } from '@domain/node.js'

export interface Selection {
  /** The selected nodes that are shown, in the order of the list. */
  nodes: readonly NodeView[]
  all: boolean
  has: (id: string) => boolean
  toggle: (id: string) => void
  toggleAll: () => void
  clear: () => void
}

/** What is selected, as kept in the address. A node that the filter hides is not acted on, so it does not count. */
export function useSelection(
  shown: readonly NodeView[],
  text: string | undefined,
  write: (text: string | undefined) => void,
): Selection {
  const ids = new Set(text ? text.split(',') : [])
  const nodes = shown.filter((node) => ids.has(node.id))
  const all = nodes.length === shown.length && shown.length > 0
  const store = (next: Iterable<string>) => write([...next].join(',') || undefined)
  return {
    nodes,
    all,
    has: (id) => ids.has(id),
    toggle: (id) => store(ids.has(id) ? [...ids].filter((one) => one !== id) : [...ids, id]),
    toggleAll: () => store(all ? [] : shown.map((node) => node.id)),
    clear: () => store([]),
  }
}
