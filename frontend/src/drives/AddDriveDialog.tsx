import { createDriveSchema, DEFAULT_DRIVE_BYTES, DEFAULT_SETTINGS, type DriveView, NO_LIMITS } from '@domain/drive.js'
import type { NodeView } from '@domain/node.js'
import { TextInput } from '@mantine/core'
import { useState } from 'react'
import { RadioCards } from '../components/RadioCards.js'
import { SizeField } from '../components/SizeField.js'
import { toastDone } from '../components/toast.js'
import { PlanDialog } from '../plan/PlanDialog.js'
import { DISK_STEPS } from '../util/sizes.js'
import { problemsOf } from '../util/validate.js'
import { limitsForm, readLimits } from './limits.js'
import { SettingsFields, type SettingsForm, settingsProblem } from './SettingsFields.js'

const MINIMUM = 1024 ** 2

interface Props {
  node: NodeView
  drives: readonly DriveView[]
  onClose: () => void
}

/** A further disk for a node: made for it, or a file of somebody's own. */
export function AddDriveDialog({ node, drives, onClose }: Props) {
  const [id, setId] = useState(() => suggestId(new Set(drives.map((drive) => drive.id))))
  const [source, setSource] = useState<'automatic' | 'file'>('automatic')
  const [bytes, setBytes] = useState(DEFAULT_DRIVE_BYTES)
  const [path, setPath] = useState('')
  const [settings, setSettings] = useState<SettingsForm>(() => ({
    readOnly: DEFAULT_SETTINGS.readOnly,
    cache: DEFAULT_SETTINGS.cache,
    io: DEFAULT_SETTINGS.io,
    limits: limitsForm(NO_LIMITS),
  }))
  const { limits } = readLimits(settings.limits)
  const body = {
    id,
    ...(source === 'file' ? { path: path.trim() } : { sizeBytes: bytes }),
    readOnly: settings.readOnly,
    cache: settings.cache,
    io: settings.io,
    limits,
  }
  const taken = drives.some((drive) => drive.id === id)
  const problems = problemsOf(createDriveSchema, body)
  const idProblem = taken ? 'This node has a drive of that name' : problems['id']
  const problem =
    idProblem ??
    (source === 'file' && path.trim() === '' ? 'Write the path of the file.' : undefined) ??
    settingsProblem(settings) ??
    Object.values(problems)[0]

  return (
    <PlanDialog
      title={`Add a drive to ${node.name}`}
      asked={problem ? null : { method: 'POST', path: `nodes/${node.id}/drives`, body }}
      problem={problem}
      confirm={`Add ${id || 'it'}`}
      failure="The drive was not added"
      width={560}
      onDone={() => toastDone(`${node.name} has the drive ${id}${atNextStart(node)}`)}
      onClose={onClose}
    >
      <TextInput
        label="Name"
        description="Within this node"
        value={id}
        error={idProblem}
        spellCheck={false}
        autoCapitalize="none"
        data-autofocus
        onChange={(event) => setId(event.currentTarget.value)}
      />
      <RadioCards
        legend="Disk"
        name="source"
        wide
        value={source}
        onChange={setSource}
        options={[
          { value: 'automatic', title: 'A new one', text: 'Made for this node; takes only the room that is written.' },
          {
            value: 'file',
            title: 'A file that exists',
            text: 'In a managed folder, or one that an administrator allowed.',
          },
        ]}
      />
      {source === 'automatic' ? (
        <SizeField label="Size" bytes={bytes} steps={DISK_STEPS} minimum={MINIMUM} onChange={setBytes} />
      ) : (
        <TextInput
          label="Path"
          placeholder="/overlays/data.qcow2"
          value={path}
          spellCheck={false}
          autoCapitalize="none"
          onChange={(event) => setPath(event.currentTarget.value)}
        />
      )}
      <SettingsFields value={settings} onChange={(change) => setSettings({ ...settings, ...change })} />
    </PlanDialog>
  )
}

/** `data`, then `data-2`. */
export function suggestId(taken: ReadonlySet<string>): string {
  if (!taken.has('data')) return 'data'
  let number = 2
  while (taken.has(`data-${number}`)) number += 1
  return `data-${number}`
}

export function atNextStart({ status }: Pick<NodeView, 'status'>): string {
  return status === 'running' || status === 'paused' ? ', from its next start' : ''
}
