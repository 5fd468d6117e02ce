import type { NodeView } from '@domain/node.js'
import { Dialog } from '../components/Dialog.js'
import { CloneNodeForm } from './CloneNodeForm.js'

/** One node becomes two, or many: how they are called, what they share, and what that takes. */
export function CloneDialog({ node, onClose }: { node: NodeView; onClose: () => void }) {
  return (
    <Dialog onClose={onClose} title={`Clone ${node.name}`} width={860} easyToClose={false}>
      <CloneNodeForm node={node} onClose={onClose} />
    </Dialog>
  )
}
