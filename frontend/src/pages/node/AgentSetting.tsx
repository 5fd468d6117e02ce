import type { NodeView } from '@domain/node.js'
import { Switch } from '@mantine/core'
import { useUpdateNode } from '../../api/nodes.js'
import { toastError } from '../../components/toast.js'

/** Whether the machine has a port for the guest's agent; refused, with the reason, while the node runs. */
export function AgentSetting({ node }: { node: NodeView }) {
  const update = useUpdateNode(node.id)
  const refusal = node.actions.changeResources
  return (
    <Switch
      label="Port for the guest’s agent"
      description={
        refusal ?? 'Of use when qemu-guest-agent is installed in the guest; the Debian starter images have it.'
      }
      checked={node.agent}
      disabled={update.isPending || Boolean(refusal)}
      onChange={(event) =>
        update.mutate(
          { agent: event.currentTarget.checked },
          { onError: (error) => toastError('The guest agent’s port was not changed', error) },
        )
      }
    />
  )
}
