import type { TrashView } from '@domain/trash.js'
import { Button } from '@mantine/core'
import { IconTrash } from '@tabler/icons-react'
import { lazy, Suspense, useState } from 'react'
import { useCurrentUser } from '../../api/current-user.js'
import { useTrash } from '../../api/storage.js'
import { ActionButton, IconAction } from '../../components/ActionButton.js'
import { ButtonLink } from '../../components/ButtonLink.js'
import { EmptyState } from '../../components/EmptyState.js'
import { ErrorNotice } from '../../components/ErrorNotice.js'
import { RelativeTime } from '../../components/RelativeTime.js'
import table from '../../components/Table.module.css'
import { TableSkeleton } from '../../components/TableSkeleton.js'
import { formatSize } from '../../util/size.js'
import { exactTime } from '../../util/time.js'
import classes from './Storage.module.css'

const RestoreDialog = lazy(async () => ({ default: (await import('./TrashDialogs.js')).RestoreDialog }))
const PurgeDialog = lazy(async () => ({ default: (await import('./TrashDialogs.js')).PurgeDialog }))
const EmptyTrashDialog = lazy(async () => ({ default: (await import('./TrashDialogs.js')).EmptyTrashDialog }))

const REASONS: Record<TrashView['reason'], string> = {
  deleted: 'Deleted',
  reset: 'Before a reset',
  restored: 'Before a restore',
  replaced: 'Replaced by a clone',
  'snapshot-deleted': 'Snapshot deleted',
  'drive-deleted': 'Drive removed',
  'memory-discarded': 'Memory discarded',
  orphan: 'Orphan discarded',
}

type Asking = { what: 'restore' | 'purge'; entry: TrashView } | { what: 'empty' } | null

/** What was thrown away: when it goes for good, and the way back. */
export function TrashList() {
  const user = useCurrentUser()
  const trash = useTrash()
  const [asking, setAsking] = useState<Asking>(null)
  const close = () => setAsking(null)
  if (trash.isError) return <ErrorNotice what="The trash could not be read" error={trash.error} />
  if (!trash.data) return <TableSkeleton rows={4} />
  const { entries, retentionDays, totalBytes } = trash.data
  if (entries.length === 0) {
    return (
      <EmptyState
        icon={<IconTrash size={22} stroke={1.5} />}
        title="The trash is empty"
        action={
          <ButtonLink to="/nodes" variant="default">
            Back to the nodes
          </ButtonLink>
        }
      >
        {`What you delete or reset waits here ${keptWords(retentionDays)} and can be brought back as it was.`}
      </EmptyState>
    )
  }
  return (
    <section className={classes['section']} aria-label="Trash">
      <div className={classes['lead']}>
        <p>
          {formatSize(totalBytes)} in {entries.length} {entries.length === 1 ? 'entry' : 'entries'}. Each is kept{' '}
          {keptWords(retentionDays)}.
        </p>
        <Button size="xs" variant="default" onClick={() => setAsking({ what: 'empty' })}>
          Empty the trash…
        </Button>
      </div>
      <div className={`${table['scroll']} ${table['stack']}`}>
        <table className={table['table']}>
          <thead>
            <tr>
              <th>What</th>
              <th>Why it is here</th>
              <th>Since</th>
              <th>Goes for good</th>
              <th className={table['number']}>Holds</th>
              <th className={table['end']}>
                <span className="visually-hidden">Actions</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {entries.map((entry) => (
              <tr key={entry.id}>
                <td data-lead className={classes['what']}>
                  <span className={table['strong']}>{entry.title}</span>
                  {entry.ownerLogin && entry.ownerId !== user.id && (
                    <span className={table['sub']}>of {entry.ownerLogin}</span>
                  )}
                  {entry.refusal && <span className={classes['refused']}>{entry.refusal}</span>}
                </td>
                <td data-label="Why it is here" className={table['nowrap']}>
                  {REASONS[entry.reason]}
                </td>
                <td data-label="Since" className={`${table['nowrap']} ${table['soft']}`}>
                  <span>
                    <RelativeTime at={entry.at} />, {entry.actorLogin}
                  </span>
                </td>
                <td data-label="Goes for good" className={`${table['nowrap']} ${table['soft']}`}>
                  {entry.purgedAt ? (
                    <span>
                      <RelativeTime at={entry.purgedAt} />, {exactTime(entry.purgedAt).split(',')[0]}
                    </span>
                  ) : (
                    'never by itself'
                  )}
                </td>
                <td data-label="Holds" className={table['number']}>
                  {formatSize(entry.usedBytes)}
                </td>
                <td className={table['end']}>
                  <span className={table['actions']}>
                    <ActionButton
                      size="xs"
                      variant="default"
                      aria-label={`Restore ${entry.title}`}
                      onClick={() => setAsking({ what: 'restore', entry })}
                    >
                      Restore
                    </ActionButton>
                    <IconAction
                      label={`Delete ${entry.title} for good`}
                      onClick={() => setAsking({ what: 'purge', entry })}
                    >
                      <IconTrash size={15} stroke={1.6} />
                    </IconAction>
                  </span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <Suspense>
        {asking?.what === 'restore' && <RestoreDialog entry={asking.entry} onClose={close} />}
        {asking?.what === 'purge' && <PurgeDialog entry={asking.entry} onClose={close} />}
        {asking?.what === 'empty' && <EmptyTrashDialog onClose={close} />}
      </Suspense>
    </section>
  )
}

function keptWords(days: number | null): string {
  if (days === null) return 'until somebody empties the trash'
  return days === 1 ? 'for one day' : `for ${days} days`
}
