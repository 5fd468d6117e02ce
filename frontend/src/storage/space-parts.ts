import type { SpaceReport } from '@domain/storage.js'
import type { StorageTab } from '../search.js'

export type PartKey =
  | 'nodes'
  | 'drives'
  | 'snapshots'
  | 'images'
  | 'trash'
  | 'orphans'
  | 'staging'
  | 'recordings'
  | 'other'
  | 'free'

/** One stretch of the bar. */
export interface SpacePart {
  key: PartKey
  label: string
  bytes: number
  /** Where one sees what is in it; null for what is not ours. */
  tab: StorageTab | null
}

const sum = (figures: readonly number[]) => figures.reduce((total, one) => total + one, 0)

/**
 * Everything on the file systems of the lab, in the order of the bar, largest concerns first and the free room at the
 * end. `other` is what the disk holds besides the lab. Parts without bytes are left out, but free room always stands.
 */
export function spaceParts(space: SpaceReport): SpacePart[] {
  const total = sum(space.fileSystems.map(({ totalBytes }) => totalBytes))
  const free = sum(space.fileSystems.map(({ freeBytes }) => freeBytes))
  const parts: SpacePart[] = [
    { key: 'nodes', label: 'Nodes', bytes: sum(space.nodes.map(({ usedBytes }) => usedBytes)), tab: 'nodes' },
    { key: 'drives', label: 'Drives', bytes: sum(space.nodes.map(({ drivesBytes }) => drivesBytes)), tab: 'nodes' },
    {
      key: 'snapshots',
      label: 'Snapshots',
      bytes: sum(space.snapshots.map(({ usedBytes }) => usedBytes)),
      tab: 'snapshots',
    },
    {
      key: 'images',
      label: 'Base images',
      bytes: sum(space.images.map(({ usedBytes }) => usedBytes)),
      tab: 'images',
    },
    { key: 'trash', label: 'Trash', bytes: space.trashBytes, tab: 'trash' },
    { key: 'orphans', label: 'Orphans', bytes: space.orphanBytes, tab: 'orphans' },
    { key: 'staging', label: 'Work under way', bytes: space.stagingBytes, tab: null },
    { key: 'recordings', label: 'Recordings', bytes: space.recordingsBytes, tab: null },
  ]
  const ours = sum(parts.map(({ bytes }) => bytes))
  const other = Math.max(0, total - free - ours)
  return [
    ...parts.filter(({ bytes }) => bytes > 0),
    ...(other > 0 ? [{ key: 'other' as const, label: 'Everything else', bytes: other, tab: null }] : []),
    { key: 'free', label: 'Free', bytes: free, tab: null },
  ]
}

/** The parts that are the lab's own: what can be looked into, and the work under way. */
export function labParts(parts: readonly SpacePart[]): SpacePart[] {
  return parts.filter(({ key }) => key !== 'other' && key !== 'free')
}

/** What overcommit means, as sentences. */
export function overcommitWords(overcommit: number): { tone: 'well' | 'warn'; text: string } {
  if (overcommit <= 1) {
    return {
      tone: 'well',
      text: `Written full, all disks would take ${shareWords(overcommit, 1)} of the room that there is for them: everything fits.`,
    }
  }
  const figure = overcommit.toFixed(overcommit < 10 ? 1 : 0)
  return {
    tone: 'warn',
    text:
      `All disks together promise ${figure} times the room that there is for them. ` +
      'That is fine as long as they stay sparse; if many guests fill theirs, the disk runs full and they pause.',
  }
}

/** `28 %`, `0.4 %`, `< 0.1 %` */
export function shareWords(bytes: number, total: number): string {
  if (total <= 0 || bytes <= 0) return '0 %'
  const percent = (bytes / total) * 100
  if (percent < 0.1) return '< 0.1 %'
  return `${percent < 10 ? percent.toFixed(1) : Math.round(percent)} %`
}
