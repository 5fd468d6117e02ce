import type { TrashView } from '../domain/trash.js'
import { formatBytes } from '../domain/units.js'
import { localTime } from './text.js'

export const TRASH_COLUMNS = ['WHAT', 'WHY', 'SIZE', 'UNTIL', 'ID']

const REASONS: Record<TrashView['reason'], string> = {
  deleted: 'deleted',
  reset: 'reset',
  restored: 'restored',
  replaced: 'replaced',
  'snapshot-deleted': 'snapshot deleted',
  'drive-deleted': 'drive deleted',
  'memory-discarded': 'memory discarded',
  orphan: 'discarded',
}

export function trashRow(entry: TrashView, ids: ReadonlyMap<string, string>): string[] {
  const owner = entry.ownerLogin === null ? '' : ` of ${entry.ownerLogin}`
  const gone = entry.purgedAt === null ? 'stays' : localTime(entry.purgedAt).slice(0, 16)
  return [
    `${entry.title}${owner}`,
    REASONS[entry.reason],
    formatBytes(entry.usedBytes),
    gone,
    ids.get(entry.id) ?? entry.id,
  ]
}

/** What the verbs take as an id: as much of the beginning as tells each from the others, all of it for programs. */
export function shortestIds(entries: readonly { id: string }[], forPeople: boolean): Map<string, string> {
  const ids = entries.map(({ id }) => id)
  const longest = Math.max(0, ...ids.map(({ length }) => length))
  let shown = forPeople ? Math.min(8, longest) : longest
  while (shown < longest && new Set(ids.map((id) => id.slice(0, shown))).size < ids.length) shown += 1
  return new Map(ids.map((id) => [id, id.slice(0, shown)]))
}
