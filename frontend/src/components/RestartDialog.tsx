import type { NodeView } from '@domain/node.js'
import { usePower } from '../api/nodes.js'
import { ConfirmDialog } from './ConfirmDialog.js'

/** The reset button of the machine: at once, without asking the guest. */
export function RestartDialog({ node, onClose }: { node: NodeView; onClose: () => void }) {
  const power = usePower()
  return (
    <ConfirmDialog
      title={`Restart ${node.name}?`}
      confirm={`Restart ${node.name}`}
      busy={power.isPending}
      failure={power.isError ? { what: `${node.name} was not restarted`, error: power.error } : null}
      onConfirm={() => power.mutate({ id: node.id, name: node.name, action: 'restart' }, { onSuccess: onClose })}
      onClose={onClose}
    >
      <p>
        This presses the machine’s reset button: the guest is not asked. What it has only in memory is lost; its disk
        stays as it was last written.
      </p>
      <p>To restart gently, do it inside the guest, for example with “reboot”.</p>
    </ConfirmDialog>
  )
}
