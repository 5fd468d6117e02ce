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

/** For a terminal: with a mark at those that the disks stand on now. */
export function markedRows(snapshots: readonly SnapshotView[]): string[][] {
  return snapshots.map((one) => {
    const [name = '', ...rest] = snapshotRow(one, snapshots)
    return [`${one.current ? '●' : ' '} ${name}`, ...rest]
  })
}

/** `24 hourly, 7 daily`; for one that makes none, that it does not. */
export function scheduleWords(schedule: SnapshotSchedule): string {
  const kept = (['hourly', 'daily', 'weekly'] as const)
    .filter((kind) => schedule[kind] > 0)
    .map((kind) => `${schedule[kind]} ${kind}`)
  return kept.length === 0 ? 'no automatic snapshots' : `automatic snapshots, of which ${kept.join(', ')} are kept`
}
