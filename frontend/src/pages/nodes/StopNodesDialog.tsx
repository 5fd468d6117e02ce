import type { NodeView } from '@domain/node.js'
import { ConfirmDialog } from '../../components/ConfirmDialog.js'

interface Props {
  nodes: readonly NodeView[]
  onConfirm: () => void
  onClose: () => void
}

export function StopNodesDialog({ nodes, onConfirm, onClose }: Props) {
  const names = nodes.slice(0, 8).map((node) => node.name)
  const rest = nodes.length - names.length
  const scope = nodes.length === 1 ? (names[0] ?? '1 node') : `${nodes.length} nodes`
  return (
    <ConfirmDialog
      title={`Stop ${scope}?`}
      confirm={`Stop ${scope}`}
      busy={false}
      onConfirm={() => {
        onConfirm()
        onClose()
      }}
      onClose={onClose}
    >
      <p>
        <strong>{names.join(', ')}</strong>
        {rest > 0 && ` and ${rest} more`}
      </p>
      <p>Each guest is asked to shut down. Disks stay as they are; programs that run in the guests end.</p>
    </ConfirmDialog>
  )
}
