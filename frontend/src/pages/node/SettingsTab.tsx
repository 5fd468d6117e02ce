import type { NodeView } from '@domain/node.js'
import { getRouteApi, useNavigate } from '@tanstack/react-router'
import { lazy, Suspense, useState } from 'react'
import { useNode } from '../../api/nodes.js'
import { ActionButton } from '../../components/ActionButton.js'
import { Section } from '../../components/Section.js'
import { AgentSetting } from './AgentSetting.js'
import { InternetSetting } from './InternetSetting.js'
import { KeyboardSetting } from './KeyboardSetting.js'
import { RecordingSetting } from './RecordingSetting.js'
import classes from './SettingsTab.module.css'
import { OnStopSetting } from './OnStopSetting.js'
import { ResourcesForm } from './ResourcesForm.js'

const DeleteNodeDialog = lazy(async () => ({
  default: (await import('../../components/DeleteNodeDialog.js')).DeleteNodeDialog,
}))

const route = getRouteApi('/nodes/$nodeId')

/** What can be changed about a node, and its end. */
export function SettingsTab() {
  const { nodeId } = route.useParams()
  const { data: node } = useNode(nodeId)
  if (!node) return null
  return (
    <div>
      <Section
        title="CPUs and memory"
        description="Take effect at the next start. Change them while the node is stopped."
      >
        <ResourcesForm key={`${node.cpus}/${node.memoryMib}`} node={node} />
      </Section>
      <Section title="Network" description="Whether the guest reaches the internet. Staff decide.">
        <InternetSetting node={node} />
      </Section>
      <Section
        title="Guest agent"
        description="By it SandLabX asks the guest to write everything out before a snapshot, sets its clock after a resume, and sees that a test boot has come up."
      >
        <AgentSetting node={node} />
      </Section>
      <Section
        title="When SandLabX is told to end"
        description="As before a restart of the server, or of its containers."
      >
        <OnStopSetting node={node} />
      </Section>
      <Section
        title="Keyboard layout"
        description="For its screen through Guacamole, when characters come out wrong. Takes effect at the next start."
      >
        <KeyboardSetting node={node} />
      </Section>
      <Section title="Recording" description="Of what its serial and Guacamole consoles show. Staff decide.">
        <RecordingSetting node={node} />
      </Section>
      <Section title="Delete" description="Its disk is kept unless you ask otherwise.">
        <DeleteSetting node={node} />
      </Section>
    </div>
  )
}

function DeleteSetting({ node }: { node: NodeView }) {
  const navigate = useNavigate()
  const [open, setOpen] = useState(false)
  return (
    <>
      <div>
        <ActionButton
          variant="default"
          className={classes['delete'] ?? ''}
          reason={node.actions.delete}
          onClick={() => setOpen(true)}
        >
          Delete {node.name}…
        </ActionButton>
      </div>
      <Suspense>
        {open && (
          <DeleteNodeDialog
            node={node}
            onClose={() => setOpen(false)}
            onDeleted={() => void navigate({ to: '/nodes' })}
          />
        )}
      </Suspense>
    </>
  )
}
