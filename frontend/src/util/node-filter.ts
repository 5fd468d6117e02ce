import type { NodeStatus, NodeView } from '@domain/node.js'

/** The chips above the list: several statuses that people think of as one. */
export const CHIPS = ['running', 'stopped', 'attention'] as const
export type Chip = (typeof CHIPS)[number]

const MEMBERS: Record<Chip, readonly NodeStatus[]> = {
  running: ['starting', 'running', 'paused', 'stopping', 'suspending'],
  stopped: ['creating', 'stopped', 'suspended'],
  attention: ['crashed', 'broken', 'unknown'],
}

export interface NodeFilter {
  text: string
  chips: readonly Chip[]
  /** Only nodes of this account. */
  ownerId: string | undefined
}

export function chipOf(status: NodeStatus): Chip {
  return CHIPS.find((chip) => MEMBERS[chip].includes(status)) ?? 'attention'
}

export function countByChip(nodes: readonly NodeView[]): Record<Chip, number> {
  const counts: Record<Chip, number> = { running: 0, stopped: 0, attention: 0 }
  for (const node of nodes) counts[chipOf(node.status)] += 1
  return counts
}

/** Each word of the text must be found in the name, the image, the owner or the status. */
export function filterNodes(nodes: readonly NodeView[], filter: NodeFilter): NodeView[] {
  const words = filter.text.toLowerCase().split(/\s+/).filter(Boolean)
  return nodes.filter((node) => {
    if (filter.ownerId !== undefined && node.ownerId !== filter.ownerId) return false
    if (filter.chips.length > 0 && !filter.chips.includes(chipOf(node.status))) return false
    const haystack = `${node.name} ${node.image} ${node.imageTitle} ${node.ownerLogin} ${node.status}`.toLowerCase()
    return words.every((word) => haystack.includes(word))
  })
}

const RANK: Record<Chip, number> = { attention: 0, running: 1, stopped: 2 }

export const SORTS = ['status', 'name', 'image', 'owner', 'disk', 'created'] as const
export type Sort = (typeof SORTS)[number]

const COMPARE: Record<Sort, (a: NodeView, b: NodeView) => number> = {
  status: (a, b) => RANK[chipOf(a.status)] - RANK[chipOf(b.status)],
  name: () => 0,
  image: (a, b) => a.imageTitle.localeCompare(b.imageTitle),
  owner: (a, b) => a.ownerLogin.localeCompare(b.ownerLogin),
  disk: (a, b) => (b.diskUsedBytes ?? 0) - (a.diskUsedBytes ?? 0),
  created: (a, b) => b.createdAt.localeCompare(a.createdAt),
}

const byName = new Intl.Collator('en', { numeric: true }).compare

/** Equal ones by name, numbers as numbers, so that nothing jumps when a status changes elsewhere. */
export function sortNodes(nodes: readonly NodeView[], sort: Sort): NodeView[] {
  return nodes.toSorted((a, b) => COMPARE[sort](a, b) || byName(a.name, b.name))
}
