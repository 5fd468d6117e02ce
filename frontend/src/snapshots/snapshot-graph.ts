import type { SnapshotView } from '@domain/snapshot.js'

/** A row of the picture, newest first: where the node is now, its snapshots, and the base image at the bottom. */
export type GraphRow = { lane: number; through: number[]; joins: number[]; fromAbove: boolean; goesOn: boolean } & (
  | { kind: 'here' }
  | { kind: 'snapshot'; snapshot: SnapshotView }
  | { kind: 'base' }
)

const HERE = 'here'
const BASE = 'base'

type Item = { id: string; parent: string | null } & (
  | { kind: 'here' | 'base' }
  | { kind: 'snapshot'; snapshot: SnapshotView }
)

/**
 * Lays the tree of snapshots out in lanes, as version control draws its history. `through`: lanes that pass the row;
 * `joins`: lanes that end in it from above; a snapshot whose parent is gone stands on the base image.
 */
export function snapshotGraph(snapshots: readonly SnapshotView[]): GraphRow[] {
  const known = new Set<string>(snapshots.map(({ id }) => id))
  const current = snapshots.find((snapshot) => snapshot.current)
  const items: Item[] = [
    { id: HERE, kind: 'here', parent: current?.id ?? BASE },
    ...newestFirst(snapshots).map((snapshot) => ({
      id: snapshot.id as string,
      kind: 'snapshot' as const,
      snapshot,
      parent: snapshot.parentId !== null && known.has(snapshot.parentId) ? (snapshot.parentId as string) : BASE,
    })),
    { id: BASE, kind: 'base', parent: null },
  ]
  /** By lane, what stands next in it; null: free. */
  const lanes: (string | null)[] = []
  return items.map((item) => {
    const ends = lanes.flatMap((next, lane) => (next === item.id ? [lane] : []))
    const lane = ends[0] ?? firstFree(lanes)
    const through = lanes.flatMap((next, one) => (next !== null && next !== item.id ? [one] : []))
    for (const end of ends) lanes[end] = null
    lanes[lane] = item.parent
    const place = { lane, through, joins: ends.slice(1), fromAbove: ends.length > 0, goesOn: item.parent !== null }
    if (item.kind === 'snapshot') return { ...place, kind: item.kind, snapshot: item.snapshot }
    return { ...place, kind: item.kind }
  })
}

export function laneCount(rows: readonly GraphRow[]): number {
  return Math.max(1, ...rows.flatMap(({ lane, through, joins }) => [lane, ...through, ...joins]).map((one) => one + 1))
}

/** A parent never stands above its child, also when both were made in the same moment. */
function newestFirst(snapshots: readonly SnapshotView[]): SnapshotView[] {
  const depth = (snapshot: SnapshotView, seen = new Set<string>()): number => {
    const parent = snapshots.find(({ id }) => id === snapshot.parentId)
    if (!parent || seen.has(snapshot.id)) return 0
    return depth(parent, seen.add(snapshot.id)) + 1
  }
  return snapshots.toSorted((a, b) => b.createdAt.localeCompare(a.createdAt) || depth(b) - depth(a))
}

function firstFree(lanes: readonly (string | null)[]): number {
  const free = lanes.indexOf(null)
  return free === -1 ? lanes.length : free
}
