import type { NodeView } from '@domain/node.js'
import { type SnapshotView, updateSnapshotSchema } from '@domain/snapshot.js'
import { Button, Textarea, TextInput } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import { useUpdateSnapshot } from '../api/disks.js'
import { ActionButton } from '../components/ActionButton.js'
import { Dialog } from '../components/Dialog.js'
import dialog from '../components/Dialog.module.css'
import { ErrorNotice } from '../components/ErrorNotice.js'
import { problemsOf } from '../util/validate.js'

interface Props {
  node: NodeView
  snapshot: SnapshotView
  snapshots: readonly SnapshotView[]
  onClose: () => void
}

/** Another name, another note; nothing on the disk changes. */
export function EditSnapshotDialog({ node, snapshot, snapshots, onClose }: Props) {
  const update = useUpdateSnapshot(node.id, snapshot.id)
  const [name, setName] = useState(snapshot.name)
  const [note, setNote] = useState(snapshot.note)
  const taken = snapshots.some((one) => one.name === name && one.id !== snapshot.id)
  const problems = problemsOf(updateSnapshotSchema, { name, note })
  const nameProblem = taken ? 'This node has a snapshot of that name' : problems['name']
  const same = name === snapshot.name && note === snapshot.note

  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (nameProblem || problems['note'] || same || update.isPending) return
    const change = { ...(name === snapshot.name ? {} : { name }), ...(note === snapshot.note ? {} : { note }) }
    update.mutate(change, { onSuccess: onClose })
  }

  return (
    <Dialog onClose={onClose} title={`Snapshot ${snapshot.name}`} easyToClose={same}>
      <form onSubmit={submit} className={dialog['body']} noValidate>
        <TextInput
          label="Name"
          value={name}
          error={nameProblem}
          spellCheck={false}
          autoCapitalize="none"
          data-autofocus
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <Textarea
          label="Note"
          value={note}
          error={problems['note']}
          rows={3}
          onChange={(event) => setNote(event.currentTarget.value)}
        />
        {update.isError && <ErrorNotice what="It was not changed" error={update.error} />}
        <div className={dialog['actions']}>
          <Button variant="default" size="sm" onClick={onClose}>
            Cancel
          </Button>
          <ActionButton
            type="submit"
            loading={update.isPending}
            reason={nameProblem ?? problems['note'] ?? (same ? 'Nothing has been changed.' : null)}
          >
            Save
          </ActionButton>
        </div>
      </form>
    </Dialog>
  )
}
