import type { NodeView } from '@domain/node.js'
import { usePower } from '../api/nodes.js'
import { ConfirmDialog } from './ConfirmDialog.js'

/** The node is then one that was switched off; its memory waits in the trash for a while. */
export function DiscardMemoryDialog({ node, onClose }: { node: NodeView; onClose: () => void }) {
  const power = usePower()
  return (
    <ConfirmDialog
      title={`Discard the memory of ${node.name}?`}
      confirm={`Discard the memory of ${node.name}`}
      busy={power.isPending}
      failure={power.isError ? { what: `The memory of ${node.name} was not discarded`, error: power.error } : null}
      onConfirm={() => power.mutate({ id: node.id, name: node.name, action: 'discard-memory' }, { onSuccess: onClose })}
      onClose={onClose}
    >
      <p>
        The node will not go on where it was: its next start boots from its disk, which is as after a power cut. What
        its guest has only in memory is lost.
      </p>
      <p>The memory moves to the trash. As long as the node has not been started, it can be brought back from there.</p>
    </ConfirmDialog>
  )
}
