import type { NodeView } from '@domain/node.js'
import { IconPlayerStop } from '@tabler/icons-react'
import { useLocation } from '@tanstack/react-router'
import { usePendingPower } from '../../api/nodes.js'
import { ActionButton } from '../../components/ActionButton.js'
import { NodeMenu } from '../../components/NodeMenu.js'
import { NodeStatusMark } from '../../components/NodeStatusMark.js'
import { usePowerButtons } from '../../components/power.js'
import { PrimaryAction } from '../../components/PrimaryAction.js'
import { useNow } from '../../util/use-now.js'
import { sinceWhen } from '../../util/where-it-stands.js'
import { EditableName } from './EditableName.js'
import classes from './NodeHeader.module.css'

/** Name, status, how long it is up, and its actions. */
export function NodeHeader({ node, onDeleted }: { node: NodeView; onDeleted: () => void }) {
  const stands = sinceWhen(node, useNow())
  const power = usePowerButtons()
  const pending = usePendingPower(node.id)
  const inConsole = useLocation({ select: ({ pathname }) => pathname.endsWith('/console') })
  const canStop = node.actions.stop === null || node.status === 'stopping'
  return (
    <header className={classes['header']}>
      <div className={classes['titles']}>
        <EditableName key={node.name} node={node} />
        <p className={classes['facts']}>
          <NodeStatusMark status={node.status} />
          <span className={classes['stands']}>{stands}</span>
          {node.accelerator === 'tcg' && <span>without KVM, slower</span>}
          <span className={classes['image']}>{node.imageTitle}</span>
        </p>
      </div>
      <div className={classes['actions']}>
        {canStop && (
          <ActionButton
            variant="default"
            leftSection={<IconPlayerStop size={15} stroke={1.75} aria-hidden />}
            loading={pending === 'stop'}
            reason={node.actions.stop}
            onClick={() => power.run(node, 'stop')}
          >
            Stop
          </ActionButton>
        )}
        {!(inConsole && node.actions.console === null) && <PrimaryAction node={node} size="sm" filled />}
        <NodeMenu node={node} onDeleted={onDeleted} size={32} variant="default" />
      </div>
    </header>
  )
}
