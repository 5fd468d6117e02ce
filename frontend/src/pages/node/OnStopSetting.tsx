import type { NodeView } from '@domain/node.js'
import { Select } from '@mantine/core'
import { useUpdateNode } from '../../api/nodes.js'
import { toastError } from '../../components/toast.js'

const CHOICES = [
  { value: 'lab', label: 'As all nodes' },
  { value: 'suspend', label: 'Suspend it: it goes on at the same screen' },
  { value: 'shutdown', label: 'Shut it down' },
]

/** What happens to this node when SandLabX ends; null: what is set for all. */
export function OnStopSetting({ node }: { node: NodeView }) {
  const update = useUpdateNode(node.id)
  return (
    <Select
      aria-label="What happens to the node when SandLabX is told to end"
      data={CHOICES}
      value={node.onStop ?? 'lab'}
      disabled={update.isPending}
      allowDeselect={false}
      maw={420}
      onChange={(value) =>
        update.mutate(
          { onStop: value === 'suspend' || value === 'shutdown' ? value : null },
          { onError: (error) => toastError('What happens on stop was not changed', error) },
        )
      }
    />
  )
}
