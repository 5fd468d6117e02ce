import type { NodeView } from '@domain/node.js'
import { ActionIcon, Menu } from '@mantine/core'
import {
  IconCamera,
  IconCopyPlus,
  IconDots,
  IconEraser,
  IconHeartRateMonitor,
  IconPlayerPause,
  IconPlayerPlay,
  IconPlayerStop,
  IconPlugX,
  IconRefresh,
  IconRestore,
  IconTrash,
} from '@tabler/icons-react'
import { lazy, Suspense, useState } from 'react'
import { MenuAction } from './MenuAction.js'
import { usePowerButtons } from './power.js'

const CloneDialog = lazy(async () => ({ default: (await import('../clone/CloneDialog.js')).CloneDialog }))
const DeleteNodeDialog = lazy(async () => ({ default: (await import('./DeleteNodeDialog.js')).DeleteNodeDialog }))
const CreateSnapshotDialog = lazy(async () => ({
  default: (await import('../snapshots/CreateSnapshotDialog.js')).CreateSnapshotDialog,
}))
const ResetNodesDialog = lazy(async () => ({
  default: (await import('../reset/ResetNodesDialog.js')).ResetNodesDialog,
}))
const TestBootDialog = lazy(async () => ({ default: (await import('../test-boot/TestBootDialog.js')).TestBootDialog }))
const DiscardMemoryDialog = lazy(async () => ({
  default: (await import('./DiscardMemoryDialog.js')).DiscardMemoryDialog,
}))
const RestartDialog = lazy(async () => ({ default: (await import('./RestartDialog.js')).RestartDialog }))
const SwitchOffDialog = lazy(async () => ({ default: (await import('./SwitchOffDialog.js')).SwitchOffDialog }))

type NodeDialog = 'clone' | 'snapshot' | 'reset' | 'test-boot' | 'delete' | 'restart' | 'switch-off' | 'discard-memory'

interface Props {
  node: NodeView
  /** Called when the node is gone. */
  onDeleted?: () => void
  size?: number
  variant?: string
}

/** Everything that can be done with a node, in the order of how often it is; what can't be done says why. */
export function NodeMenu({ node, onDeleted, size = 28, variant = 'subtle' }: Props) {
  const power = usePowerButtons()
  const [dialog, setDialog] = useState<NodeDialog | null>(null)
  return (
    <>
      <Menu>
        <Menu.Target>
          <ActionIcon variant={variant} color="gray" size={size} aria-label={`More actions for ${node.name}`}>
            <IconDots size={16} aria-hidden />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <MenuAction icon={IconPlayerPlay} reason={node.actions.start} onClick={() => power.run(node, 'start')}>
            {node.status === 'suspended' ? 'Resume' : 'Start'}
          </MenuAction>
          <MenuAction icon={IconPlayerStop} reason={node.actions.stop} onClick={() => power.run(node, 'stop')}>
            Stop
          </MenuAction>
          {node.suspended === null ? (
            <MenuAction icon={IconPlayerPause} reason={node.actions.suspend} onClick={() => power.run(node, 'suspend')}>
              Suspend
            </MenuAction>
          ) : (
            <MenuAction
              icon={IconEraser}
              reason={node.actions.discardMemory}
              onClick={() => setDialog('discard-memory')}
            >
              Discard its memory…
            </MenuAction>
          )}
          <MenuAction icon={IconRefresh} reason={node.actions.restart} onClick={() => setDialog('restart')}>
            Restart…
          </MenuAction>
          <Menu.Divider />
          <MenuAction icon={IconCopyPlus} reason={node.actions.clone} onClick={() => setDialog('clone')}>
            Clone…
          </MenuAction>
          <MenuAction icon={IconCamera} reason={node.actions.snapshot} onClick={() => setDialog('snapshot')}>
            Take a snapshot…
          </MenuAction>
          <MenuAction icon={IconHeartRateMonitor} onClick={() => setDialog('test-boot')}>
            Test boot…
          </MenuAction>
          <Menu.Divider />
          <MenuAction icon={IconRestore} reason={node.actions.reset} onClick={() => setDialog('reset')}>
            Reset…
          </MenuAction>
          <MenuAction icon={IconPlugX} reason={node.actions.stop} onClick={() => setDialog('switch-off')}>
            Switch off now…
          </MenuAction>
          <MenuAction icon={IconTrash} danger reason={node.actions.delete} onClick={() => setDialog('delete')}>
            Delete…
          </MenuAction>
        </Menu.Dropdown>
      </Menu>
      <Suspense>
        {dialog === 'clone' && <CloneDialog node={node} onClose={() => setDialog(null)} />}
        {dialog === 'snapshot' && <CreateSnapshotDialog node={node} onClose={() => setDialog(null)} />}
        {dialog === 'reset' && <ResetNodesDialog nodes={[node]} onClose={() => setDialog(null)} />}
        {dialog === 'test-boot' && (
          <TestBootDialog name={node.name} of={{ nodeId: node.id }} onClose={() => setDialog(null)} />
        )}
        {dialog === 'delete' && (
          <DeleteNodeDialog node={node} onClose={() => setDialog(null)} {...(onDeleted ? { onDeleted } : {})} />
        )}
        {dialog === 'discard-memory' && <DiscardMemoryDialog node={node} onClose={() => setDialog(null)} />}
        {dialog === 'restart' && <RestartDialog node={node} onClose={() => setDialog(null)} />}
        {dialog === 'switch-off' && <SwitchOffDialog node={node} onClose={() => setDialog(null)} />}
      </Suspense>
    </>
  )
}
