import type { NodeView } from '@domain/node.js'
import { createSnapshotSchema } from '@domain/snapshot.js'
import { Checkbox, Textarea, TextInput } from '@mantine/core'
import { useState } from 'react'
import { useDrives, useSnapshots } from '../api/disks.js'
import { PlanDialog } from '../plan/PlanDialog.js'
import { problemsOf } from '../util/validate.js'
import { suggestSnapshotName } from './snapshot-names.js'

/** The disks as they are at this moment, under a name; of a running node its memory, too, if one likes. */
export function CreateSnapshotDialog({ node, onClose }: { node: NodeView; onClose: () => void }) {
  const snapshots = useSnapshots(node.id)
  const drives = useDrives(node.id)
  const [typed, setTyped] = useState<string>()
  const [note, setNote] = useState('')
  const [memory, setMemory] = useState(false)
  const [freeze, setFreeze] = useState(false)
  const [left, setLeft] = useState<ReadonlySet<string>>(new Set())

  const running = node.status === 'running' || node.status === 'paused'
  const taken = new Set(snapshots.data?.map(({ name }) => name))
  const name = typed ?? suggestSnapshotName(taken)
  const ours = (drives.data ?? []).filter(({ root, source }) => root || source === 'automatic')
  const chosen = ours.filter(({ id }) => !left.has(id)).map(({ id }) => id)
  const body = {
    name,
    ...(note.trim() ? { note: note.trim() } : {}),
    ...(left.size > 0 ? { drives: chosen } : {}),
    ...(running && memory ? { memory: true } : {}),
    ...(running && node.agent && freeze ? { freeze: true } : {}),
  }
  const problems = problemsOf(createSnapshotSchema, body)
  const nameProblem = taken.has(name) ? 'This node has a snapshot of that name' : problems['name']
  const problem =
    nameProblem ?? (ours.length > 0 && chosen.length === 0 ? 'Choose at least one disk' : undefined) ?? problems['note']

  return (
    <PlanDialog
      title={`Take a snapshot of ${node.name}`}
      asked={problem ? null : { method: 'POST', path: `nodes/${node.id}/snapshots`, body }}
      problem={problem}
      confirm={`Take ${name || 'it'}`}
      failure={`No snapshot of ${node.name} was taken`}
      onClose={onClose}
    >
      <TextInput
        label="Name"
        value={name}
        error={typed === undefined ? undefined : nameProblem}
        spellCheck={false}
        autoCapitalize="none"
        data-autofocus
        onChange={(event) => setTyped(event.currentTarget.value)}
      />
      <Textarea
        label="Note"
        description="What is in it, or why: for whoever comes back to it"
        value={note}
        rows={3}
        onChange={(event) => setNote(event.currentTarget.value)}
      />
      {ours.length > 1 && (
        <Checkbox.Group
          label="Disks"
          value={chosen}
          onChange={(ids) => setLeft(new Set(ours.flatMap(({ id }) => (ids.includes(id) ? [] : [id]))))}
        >
          {ours.map(({ id }) => (
            <Checkbox key={id} value={id} label={id} mt={6} />
          ))}
        </Checkbox.Group>
      )}
      {running ? (
        <>
          <p>The guest goes on; it stands still for a moment. Its disks are kept as after a power cut.</p>
          <Checkbox
            checked={memory}
            onChange={(event) => setMemory(event.currentTarget.checked)}
            label="With its memory"
            description="It comes back at the same screen. Takes as much room as the guest has memory in use."
          />
          <Checkbox
            checked={node.agent && freeze}
            disabled={!node.agent}
            onChange={(event) => setFreeze(event.currentTarget.checked)}
            label="Let the guest write everything out first"
            description={
              node.agent
                ? 'Its agent (qemu-guest-agent) freezes the file systems for a moment; refused when it does not answer.'
                : 'This node has no port for a guest agent: switch it on in its settings while it is stopped.'
            }
          />
        </>
      ) : (
        <p>The disk as it is now is kept; what the node writes from here on goes to a fresh layer over it.</p>
      )}
    </PlanDialog>
  )
}
