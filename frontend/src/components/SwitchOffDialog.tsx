import type { NodeView } from '@domain/node.js'
import { usePower } from '../api/nodes.js'
import { ConfirmDialog } from './ConfirmDialog.js'

/** As pulling the plug. */
export function SwitchOffDialog({ node, onClose }: { node: NodeView; onClose: () => void }) {
  const power = usePower()
  return (
    <ConfirmDialog
      title={`Switch off ${node.name} now?`}
      confirm={`Switch off ${node.name}`}
      danger
      busy={power.isPending}
      failure={power.isError ? { what: `${node.name} was not switched off`, error: power.error } : null}
      onConfirm={() => power.mutate({ id: node.id, name: node.name, action: 'stop-now' }, { onSuccess: onClose })}
      onClose={onClose}
    >
      <p>
        This is like pulling the plug. What the guest has only in memory is lost: unsaved files, running programs. The
        disk of <strong>{node.name}</strong> stays as it was last written.
      </p>
      <p>“Stop” asks the guest to shut down first, and is the better way while it answers.</p>
    </ConfirmDialog>
  )
}
