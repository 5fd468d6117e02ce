import { nodeNameSchema } from '@domain/node.js'
import type { TrashView } from '@domain/trash.js'
import { TextInput } from '@mantine/core'
import { useState } from 'react'
import { toastDone } from '../../components/toast.js'
import { PlanDialog } from '../../plan/PlanDialog.js'
import { formatSize } from '../../util/size.js'

interface Props {
  entry: TrashView
  onClose: () => void
}

/** Brings it back as it was; a node whose name is taken meanwhile comes back under another. */
export function RestoreDialog({ entry, onClose }: Props) {
  const [name, setName] = useState('')
  const isNode = (entry.reason === 'deleted' || entry.reason === 'replaced') && entry.nodeName !== null
  const problem =
    name && !nodeNameSchema.safeParse(name).success
      ? 'Lower-case letters, digits and dashes, starting and ending with a letter or digit.'
      : undefined
  return (
    <PlanDialog
      title={`Restore ${entry.title}?`}
      asked={
        problem
          ? null
          : { method: 'POST', path: `trash/${encodeURIComponent(entry.id)}/restore`, body: name ? { name } : {} }
      }
      problem={problem}
      confirm="Restore it"
      failure={`${entry.title} was not restored`}
      onClose={onClose}
    >
      <p>{restoreWords(entry)}</p>
      {isNode && (
        <TextInput
          label="Name"
          description="Another one, if its own is taken by now"
          placeholder={entry.nodeName ?? ''}
          value={name}
          error={problem}
          spellCheck={false}
          autoCapitalize="none"
          onChange={(event) => setName(event.currentTarget.value)}
        />
      )}
    </PlanDialog>
  )
}

function restoreWords({ reason, nodeName }: TrashView): string {
  const node = nodeName ?? 'The node'
  if (reason === 'reset' || reason === 'restored') {
    return `${node} gets the disk back that it had before. What is on its disk now takes the place of that in the trash.`
  }
  if (reason === 'snapshot-deleted') return `${node} has the snapshot again.`
  if (reason === 'drive-deleted') return `${node} has the drive again, from its next start.`
  if (reason === 'orphan') return 'The file goes back to where it was and is an orphan again.'
  return 'It comes back with its disk, its settings and its history.'
}

/** Removes one entry for good. */
export function PurgeDialog({ entry, onClose }: Props) {
  return (
    <PlanDialog
      title={`Delete ${entry.title} for good?`}
      asked={{ method: 'DELETE', path: `trash/${encodeURIComponent(entry.id)}` }}
      confirm="Delete it for good"
      failure={`${entry.title} was not deleted`}
      danger
      typed={entry.nodeName ?? 'delete'}
      onDone={(answer) => {
        if (!answer?.operation) toastDone(`${entry.title} is gone, ${formatSize(entry.usedBytes)} are free again`)
      }}
      onClose={onClose}
    >
      <p>
        The files below are removed from the disk and {formatSize(entry.usedBytes)} become free. Nothing brings them
        back but a backup of your own.
      </p>
    </PlanDialog>
  )
}

/** Removes everything, or what has waited longest, for good. */
export function EmptyTrashDialog({ onClose }: { onClose: () => void }) {
  const [days, setDays] = useState('')
  const figure = Number(days)
  const problem =
    days.trim() !== '' && (!Number.isInteger(figure) || figure < 0 || figure > 3650)
      ? 'Write a whole number of days, or nothing.'
      : undefined
  return (
    <PlanDialog
      title="Empty the trash?"
      asked={
        problem
          ? null
          : { method: 'POST', path: 'trash/purge', body: days.trim() === '' ? {} : { olderThanDays: figure } }
      }
      problem={problem}
      confirm={days.trim() === '' ? 'Empty the trash' : `Delete what is older than ${days.trim()} days`}
      failure="The trash was not emptied"
      danger
      typed="empty"
      onClose={onClose}
    >
      <p>What goes from here is gone: nothing brings it back but a backup of your own.</p>
      <TextInput
        label="Only what is older than (days)"
        description="Leave it empty for everything that you may remove"
        inputMode="numeric"
        value={days}
        error={problem}
        onChange={(event) => setDays(event.currentTarget.value)}
      />
    </PlanDialog>
  )
}
