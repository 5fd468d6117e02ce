import type { NodeView } from '@domain/node.js'
import { IconPlayerPlay, IconTerminal2 } from '@tabler/icons-react'
import { usePendingPower } from '../api/nodes.js'
import { ActionButton } from './ActionButton.js'
import { ButtonLink } from './ButtonLink.js'
import { usePowerButtons } from './power.js'

/** The one action that makes sense now: start what is off, look into what is on. */
export function PrimaryAction({
  node,
  size = 'xs',
  filled = false,
}: {
  node: NodeView
  size?: 'xs' | 'sm'
  filled?: boolean
}) {
  const power = usePowerButtons()
  const pending = usePendingPower(node.id)
  const verb = node.status === 'suspended' ? 'Resume' : 'Start'
  if (node.actions.console === null && pending !== 'start') {
    return (
      <ButtonLink
        to="/nodes/$nodeId/console"
        params={{ nodeId: node.id }}
        size={size}
        variant={filled ? 'filled' : 'default'}
        leftSection={<IconTerminal2 size={15} stroke={1.75} aria-hidden />}
        aria-label={`Console of ${node.name}`}
      >
        Console
      </ButtonLink>
    )
  }
  return (
    <ActionButton
      size={size}
      variant={filled ? 'filled' : 'default'}
      leftSection={<IconPlayerPlay size={15} stroke={1.75} aria-hidden />}
      loading={pending === 'start'}
      reason={node.actions.start}
      aria-label={`${verb} ${node.name}`}
      onClick={() => power.run(node, 'start')}
    >
      {verb}
    </ActionButton>
  )
}
