import type { NodeView } from '@domain/node.js'
import { IconPlayerPause, IconPlayerPlay, IconPlayerStop, IconRestore, IconTerminal2, IconX } from '@tabler/icons-react'
import { lazy, Suspense, useState } from 'react'
import { usePendingPowerCount } from '../../api/nodes.js'
import { ActionButton, IconAction } from '../../components/ActionButton.js'
import { ButtonLink } from '../../components/ButtonLink.js'
import { usePowerButtons } from '../../components/power.js'
import classes from './BulkBar.module.css'

const StopNodesDialog = lazy(async () => ({ default: (await import('./StopNodesDialog.js')).StopNodesDialog }))

const ResetNodesDialog = lazy(async () => ({
  default: (await import('../../reset/ResetNodesDialog.js')).ResetNodesDialog,
}))

/** What can be done with all selected nodes; each button names how many it would touch. */
export function BulkBar({ nodes, onClear }: { nodes: readonly NodeView[]; onClear: () => void }) {
  const power = usePowerButtons()
  const pending = usePendingPowerCount()
  const [asking, setAsking] = useState<'stop' | 'reset' | null>(null)
  if (nodes.length === 0) return null
  const startable = nodes.filter((node) => node.actions.start === null)
  const stoppable = nodes.filter((node) => node.actions.stop === null)
  const suspendable = nodes.filter((node) => node.actions.suspend === null)
  const resettable = nodes.filter((node) => node.actions.reset === null)
  const visible = nodes.filter((node) => node.actions.console === null).slice(0, 4)
  return (
    <section className={classes['bar']} aria-label="Selected nodes">
      <span className={classes['count']}>{count(nodes.length, 'node')} selected</span>
      <ActionButton
        size="xs"
        variant="default"
        leftSection={<IconPlayerPlay size={14} aria-hidden />}
        reason={startable.length === 0 ? 'None of the selected nodes can be started now.' : null}
        onClick={() => void power.runAll(startable, 'start')}
      >
        Start {startable.length > 0 && count(startable.length, 'node')}
      </ActionButton>
      <ActionButton
        size="xs"
        variant="default"
        leftSection={<IconPlayerStop size={14} aria-hidden />}
        reason={stoppable.length === 0 ? 'None of the selected nodes is running.' : null}
        onClick={() => setAsking('stop')}
      >
        Stop {stoppable.length > 0 && count(stoppable.length, 'node')}
      </ActionButton>
      {suspendable.length > 0 && (
        <ActionButton
          size="xs"
          variant="default"
          leftSection={<IconPlayerPause size={14} aria-hidden />}
          reason={null}
          onClick={() => void power.runAll(suspendable, 'suspend')}
        >
          Suspend {count(suspendable.length, 'node')}
        </ActionButton>
      )}
      {visible.length > 0 ? (
        <ButtonLink
          to="/consoles"
          search={{ layout: visible.map((node) => node.id).join(',') }}
          size="xs"
          variant="default"
          leftSection={<IconTerminal2 size={14} aria-hidden />}
        >
          Open {count(visible.length, 'console')}
        </ButtonLink>
      ) : (
        <ActionButton size="xs" variant="default" reason="None of the selected nodes is running.">
          Open consoles
        </ActionButton>
      )}
      <ActionButton
        size="xs"
        variant="default"
        leftSection={<IconRestore size={14} aria-hidden />}
        reason={resettable.length === 0 ? 'None of the selected nodes can be reset now.' : null}
        onClick={() => setAsking('reset')}
      >
        Reset {resettable.length > 0 && count(resettable.length, 'node')}
      </ActionButton>
      {pending > 0 && <span className={classes['pending']}>{count(pending, 'action')} under way</span>}
      <IconAction label="Clear the selection (Esc)" size={26} onClick={onClear}>
        <IconX size={15} />
      </IconAction>
      <Suspense>
        {asking === 'stop' && (
          <StopNodesDialog
            nodes={stoppable}
            onConfirm={() => void power.runAll(stoppable, 'stop')}
            onClose={() => setAsking(null)}
          />
        )}
        {asking === 'reset' && <ResetNodesDialog nodes={resettable} onClose={() => setAsking(null)} />}
      </Suspense>
    </section>
  )
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}
