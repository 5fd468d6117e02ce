import type { NodeView } from '@domain/node.js'
import { Checkbox, Select, TextInput } from '@mantine/core'
import { useState } from 'react'
import { useSnapshots } from '../api/disks.js'
import type { Asked } from '../api/plans.js'
import { PlanDialog } from '../plan/PlanDialog.js'
import { exactTime } from '../util/time.js'

const RUNNING = new Set<NodeView['status']>(['running', 'starting', 'paused'])

/** Fresh disks for one node or many: what is lost of each is shown first, and all of it can be undone. */
export function ResetNodesDialog({ nodes, onClose }: { nodes: readonly NodeView[]; onClose: () => void }) {
  const [snapshot, setSnapshot] = useState('')
  const [now, setNow] = useState(false)
  const [keepGoing, setKeepGoing] = useState(false)
  const [only, ...others] = nodes
  if (!only) return null
  const many = others.length > 0
  const scope = many ? `${nodes.length} nodes` : only.name
  const running = nodes.filter(({ status }) => RUNNING.has(status)).length

  const body = { ...(snapshot ? { snapshot } : {}), ...(now && running > 0 ? { now: true } : {}) }
  const asked: Asked = many
    ? {
        method: 'POST',
        path: 'reset',
        body: { nodeIds: nodes.map(({ id }) => id), ...body, ...(keepGoing ? { keepGoing: true } : {}) },
      }
    : { method: 'POST', path: `nodes/${only.id}/reset`, body }

  return (
    <PlanDialog
      title={`Reset ${scope}?`}
      asked={asked}
      confirm={`Reset ${scope}`}
      failure={`${scope} ${many ? 'were' : 'was'} not reset`}
      danger
      width={560}
      onClose={onClose}
      options={
        <>
          {running > 0 && (
            <Checkbox
              checked={now}
              onChange={(event) => setNow(event.currentTarget.checked)}
              label="Do not wait for the guests to shut down"
              description="They are switched off. Faster; their disks are thrown away in any case."
            />
          )}
          {many && (
            <Checkbox
              checked={keepGoing}
              onChange={(event) => setKeepGoing(event.currentTarget.checked)}
              label="Reset those that can be reset"
              description="Otherwise all of them or none."
            />
          )}
        </>
      }
    >
      <p>{resetWords(many, Boolean(snapshot), running)}</p>
      {many ? (
        <TextInput
          label="To the snapshot named"
          description="Leave it empty for the base image. Nodes without a snapshot of that name are refused."
          placeholder="base image"
          value={snapshot}
          spellCheck={false}
          autoCapitalize="none"
          onChange={(event) => setSnapshot(event.currentTarget.value.trim())}
        />
      ) : (
        <SnapshotChoice nodeId={only.id} value={snapshot} onChange={setSnapshot} />
      )}
    </PlanDialog>
  )
}

function SnapshotChoice({
  nodeId,
  value,
  onChange,
}: {
  nodeId: string
  value: string
  onChange: (name: string) => void
}) {
  const snapshots = useSnapshots(nodeId)
  if (!snapshots.data || snapshots.data.length === 0) return null
  return (
    <Select
      label="To"
      data={[
        { value: '', label: 'The base image, as it was when the node was new' },
        ...snapshots.data.map(({ name, createdAt }) => ({
          value: name,
          label: `Snapshot ${name}, ${exactTime(createdAt)}`,
        })),
      ]}
      value={value}
      onChange={(name) => onChange(name ?? '')}
    />
  )
}

/** What goes, what stays, how to undo it. */
export function resetWords(many: boolean, toSnapshot: boolean, running: number): string {
  const target = toSnapshot ? 'the snapshot' : 'the base image'
  const going = many
    ? `Each node gets a fresh disk over ${target}. What is on the disks now moves to the trash; one Undo brings all of it back.`
    : `The node gets a fresh disk over ${target}. What is on the disk now moves to the trash; Undo brings it back.`
  const staying = 'Names, addresses and snapshots stay.'
  if (running === 0) return `${going} ${staying}`
  const who = many ? `${running} running ${running === 1 ? 'one is' : 'ones are'}` : 'It is'
  return `${going} ${staying} ${who} stopped for it and started again.`
}
