import type { SnapshotSchedule, SnapshotView } from '../domain/snapshot.js'
import { formatBytes } from '../domain/units.js'
import { localTime } from './text.js'

export const SNAPSHOT_COLUMNS = ['NAME', 'TAKEN', 'SIZE', 'HOW', 'FROM', 'NOTE']

const HOW = { stopped: 'stopped', live: 'running', frozen: 'running, frozen' } as const

/** `onTerminal`: the one that the disks stand on now is marked. Programs read `current` in the JSON. */
export function snapshotRow(snapshot: SnapshotView, all: readonly SnapshotView[], onTerminal: boolean): string[] {
  const { name, createdAt, usedBytes, consistency, memory, automatic, parentId, note, current } = snapshot
  const how = [HOW[consistency], ...(memory ? ['with memory'] : []), ...(automatic ? [automatic] : [])].join(', ')
  return [
    onTerminal ? `${current ? '●' : ' '} ${name}` : name,
    localTime(createdAt).slice(0, 16),
    formatBytes(usedBytes),
    how,
    all.find(({ id }) => id === parentId)?.name ?? '',
    onTerminal ? shortened(note) : note,
  ]
}

const NOTE_WIDTH = 30

function shortened(text: string): string {
  const characters = Array.from(text.replaceAll(/\s+/g, ' '))
  return characters.length <= NOTE_WIDTH ? characters.join('') : `${characters.slice(0, NOTE_WIDTH - 1).join('')}…`
}

/** `24 hourly, 7 daily`; `none` for one that makes none. */
export function scheduleWords(schedule: SnapshotSchedule): string {
  const kept = (['hourly', 'daily', 'weekly'] as const)
    .filter((kind) => schedule[kind] > 0)
    .map((kind) => `${schedule[kind]} ${kind}`)
  return kept.length === 0 ? 'no automatic snapshots' : `automatic snapshots, of which are kept ${kept.join(', ')}`
}
