import type { SnapshotSchedule, SnapshotView } from '../domain/snapshot.js'
import { formatBytes } from '../domain/units.js'
import { localTime } from './text.js'

export const SNAPSHOT_COLUMNS = ['NAME', 'TAKEN', 'SIZE', 'GUEST', 'FROM', 'NOTE']

/** What its disks hold: all that a guest had written that was shut down, or what a power cut would have left. */
const GUEST = { stopped: 'shut down', live: 'cut off', frozen: 'frozen' } as const

/** As programs read them. */
export function snapshotRow(snapshot: SnapshotView, all: readonly SnapshotView[]): string[] {
  const { name, createdAt, usedBytes, consistency, memory, automatic, parentId, note } = snapshot
  const guest = memory ? 'with memory' : GUEST[consistency]
  return [
    name,
    localTime(createdAt).slice(0, 16),
    formatBytes(usedBytes),
    automatic === null ? guest : `${guest}, ${automatic}`,
    all.find(({ id }) => id === parentId)?.name ?? '',
    note,
  ]
}

const LEAST_NOTE = 10
const GAP = 2

/** For a terminal: a mark at those that the disks stand on now, and as much of each note as there is room for. */
export function snapshotTable(
  snapshots: readonly SnapshotView[],
  width: number,
): { columns: string[]; rows: string[][] } {
  const plain = snapshots.map((one) => snapshotRow(one, snapshots))
  const rows = plain.map(([name = '', ...rest], at) => [`${snapshots[at]?.current ? '●' : ' '} ${name}`, ...rest])
  const columns = SNAPSHOT_COLUMNS.map((column, at) => (at === 0 ? `  ${column}` : column))
  const widest = columns
    .slice(0, -1)
    .map((column, at) => Math.max(column.length, ...rows.map((row) => row[at]?.length ?? 0)))
  const left = width - widest.reduce((sum, one) => sum + one + GAP, 0)
  const noteWidth = Math.max(LEAST_NOTE, left)
  return { columns, rows: rows.map((row) => [...row.slice(0, -1), shortened(row.at(-1) ?? '', noteWidth)]) }
}

function shortened(text: string, width: number): string {
  const characters = Array.from(text.replaceAll(/\s+/g, ' '))
  return characters.length <= width ? characters.join('') : `${characters.slice(0, width - 1).join('')}…`
}

/** `24 hourly, 7 daily`; for one that makes none, that it does not. */
export function scheduleWords(schedule: SnapshotSchedule): string {
  const kept = (['hourly', 'daily', 'weekly'] as const)
    .filter((kind) => schedule[kind] > 0)
    .map((kind) => `${schedule[kind]} ${kind}`)
  return kept.length === 0 ? 'no automatic snapshots' : `automatic snapshots, of which ${kept.join(', ')} are kept`
}
