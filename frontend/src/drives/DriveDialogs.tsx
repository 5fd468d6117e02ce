import { type DriveView, moveDriveSchema } from '@domain/drive.js'
import type { NodeView } from '@domain/node.js'
import { Checkbox, Select, TextInput } from '@mantine/core'
import { useState } from 'react'
import { useNodes } from '../api/nodes.js'
import { SizeField } from '../components/SizeField.js'
import { toastDone } from '../components/toast.js'
import { PlanDialog } from '../plan/PlanDialog.js'
import { formatExactSize } from '../util/size.js'
import { DISK_STEPS } from '../util/sizes.js'
import { problemsOf } from '../util/validate.js'
import { atNextStart } from './AddDriveDialog.js'
import { limitsForm, readLimits } from './limits.js'
import { SettingsFields, type SettingsForm, settingsProblem } from './SettingsFields.js'

interface Props {
  node: NodeView
  drive: DriveView
  onClose: () => void
}

const pathOf = (node: NodeView, drive: DriveView) => `nodes/${node.id}/drives/${drive.id}`

/** Read only, cache, engine, limits: stored now, applied at the next start. */
export function ChangeDriveDialog({ node, drive, onClose }: Props) {
  const before: SettingsForm = {
    readOnly: drive.readOnly,
    cache: drive.cache,
    io: drive.io,
    limits: limitsForm(drive.limits),
  }
  const [settings, setSettings] = useState(before)
  const { limits } = readLimits(settings.limits)
  const change = {
    ...(settings.readOnly === drive.readOnly ? {} : { readOnly: settings.readOnly }),
    ...(settings.cache === drive.cache ? {} : { cache: settings.cache }),
    ...(settings.io === drive.io ? {} : { io: settings.io }),
    ...(JSON.stringify(limits) === JSON.stringify(drive.limits) ? {} : { limits }),
  }
  const problem =
    settingsProblem(settings) ?? (Object.keys(change).length === 0 ? 'Nothing has been changed.' : undefined)
  return (
    <PlanDialog
      title={`Change ${drive.id} of ${node.name}`}
      asked={problem ? null : { method: 'PATCH', path: pathOf(node, drive), body: change }}
      problem={problem}
      confirm="Save"
      failure="The drive was not changed"
      width={560}
      onDone={() => toastDone(`${drive.id} is changed${atNextStart(node)}`)}
      onClose={onClose}
    >
      <p>What you change is stored now and holds from the node’s next start.</p>
      <SettingsFields value={settings} onChange={(next) => setSettings({ ...settings, ...next })} />
    </PlanDialog>
  )
}

/** A larger disk; the guest then grows its partition and file system itself. */
export function GrowDriveDialog({ node, drive, onClose }: Props) {
  const [bytes, setBytes] = useState(() => DISK_STEPS.find((step) => step > drive.sizeBytes) ?? drive.sizeBytes * 2)
  const problem = bytes > drive.sizeBytes ? undefined : `It is ${formatExactSize(drive.sizeBytes)} now: choose more.`
  return (
    <PlanDialog
      title={`Grow ${drive.id} of ${node.name}`}
      asked={problem ? null : { method: 'PATCH', path: pathOf(node, drive), body: { sizeBytes: bytes } }}
      problem={problem}
      confirm={`Grow to ${formatExactSize(bytes)}`}
      failure="The drive was not grown"
      onDone={() => toastDone(`${drive.id} has ${formatExactSize(bytes)}`)}
      onClose={onClose}
    >
      <p>
        The guest sees a larger disk at its next start and grows its partition and file system itself. A disk can’t be
        made smaller again.
      </p>
      <SizeField
        label="New size"
        bytes={bytes}
        steps={DISK_STEPS}
        minimum={drive.sizeBytes + 1024 ** 2}
        onChange={setBytes}
      />
    </PlanDialog>
  )
}

/** Another node gets the drive, with what is on it. */
export function MoveDriveDialog({ node, drive, onClose }: Props) {
  const nodes = useNodes()
  const [toNodeId, setToNodeId] = useState<string | null>(null)
  const [newId, setNewId] = useState('')
  const others = (nodes.data ?? []).filter(({ id }) => id !== node.id)
  const target = others.find(({ id }) => id === toNodeId)
  const body = { toNodeId: toNodeId ?? '', ...(newId.trim() ? { newId: newId.trim() } : {}) }
  const problems = target ? problemsOf(moveDriveSchema, body) : {}
  const problem = target ? Object.values(problems)[0] : 'Choose a node.'
  return (
    <PlanDialog
      title={`Move ${drive.id} from ${node.name}`}
      asked={problem ? null : { method: 'POST', path: `${pathOf(node, drive)}/move`, body }}
      problem={problem}
      confirm={target ? `Move to ${target.name}` : 'Move it'}
      failure="The drive was not moved"
      onDone={(answer) => {
        if (!answer?.operation) toastDone(`${target?.name ?? 'The other node'} has the drive`)
      }}
      onClose={onClose}
    >
      <p>The drive goes with all that is on it. Each of the two notices at its next start.</p>
      <Select
        label="To"
        placeholder="Choose a node"
        data={others.map(({ id, name, ownerLogin }) => ({ value: id as string, label: `${name} (${ownerLogin})` }))}
        value={toNodeId}
        searchable
        nothingFoundMessage="No node by that name"
        onChange={setToNodeId}
      />
      <TextInput
        label="Name there"
        description="Leave it empty to keep its name"
        placeholder={drive.id}
        value={newId}
        error={problems['newId']}
        spellCheck={false}
        autoCapitalize="none"
        onChange={(event) => setNewId(event.currentTarget.value)}
      />
    </PlanDialog>
  )
}

/** The node loses the drive; its file stays as an orphan, or goes to the trash. */
export function RemoveDriveDialog({ node, drive, onClose }: Props) {
  const [deleteStorage, setDeleteStorage] = useState(false)
  const ours = drive.source === 'automatic'
  return (
    <PlanDialog
      title={`Remove ${drive.id} from ${node.name}?`}
      asked={{ method: 'DELETE', path: `${pathOf(node, drive)}${deleteStorage ? '?deleteStorage=true' : ''}` }}
      confirm={deleteStorage ? `Remove ${drive.id} and its file` : `Remove ${drive.id}, keep its file`}
      failure="The drive was not removed"
      danger
      onDone={() => {
        if (!deleteStorage) toastDone(`${node.name} no longer has ${drive.id}; its file is kept`)
      }}
      onClose={onClose}
      options={
        ours && (
          <Checkbox
            checked={deleteStorage}
            onChange={(event) => setDeleteStorage(event.currentTarget.checked)}
            label="Delete its file as well"
            description="It moves to the trash and can be brought back from there."
          />
        )
      }
    >
      <p>
        {deleteStorage
          ? 'The node loses the drive, and its file moves to the trash.'
          : 'The node loses the drive. Its file stays on the server as an orphan and can be attached again.'}
      </p>
    </PlanDialog>
  )
}
