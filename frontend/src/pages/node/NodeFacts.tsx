import type { NodeView } from '@domain/node.js'
import type { ReactNode } from 'react'
import { CopyButton } from '../../components/CopyButton.js'
import { RelativeTime } from '../../components/RelativeTime.js'
import { formatMemory } from '../../util/size.js'
import classes from './NodeFacts.module.css'
import { UsageBar } from './UsageBar.js'

/** What a node is, in groups: how one gets in, what it has, where it is. */
export function NodeFacts({ node }: { node: NodeView }) {
  return (
    <div className={classes['facts']}>
      <Group title="Signing in">
        <Fact label="User">
          <code>{node.guestUser}</code>
        </Fact>
        {node.loginNotes && <p className={classes['note']}>{node.loginNotes}</p>}
      </Group>
      <Group title="Machine">
        <Fact label="CPUs">{node.cpus}</Fact>
        <Fact label="Memory">{formatMemory(node.memoryMib)}</Fact>
        <Fact label="Speed">{speed(node)}</Fact>
        <Fact label="Network">{node.internet ? 'Reaches the internet' : 'Reaches nothing outside of this server'}</Fact>
        <Fact label="MAC address">
          <code>{node.mac}</code>
          <CopyButton text={node.mac} label="Copy the MAC address" />
        </Fact>
      </Group>
      <Group title="Disk">
        <UsageBar usedBytes={node.diskUsedBytes} sizeBytes={node.diskBytes} />
        <Fact label="Image">{node.imageTitle}</Fact>
        <Fact label="Overlay">
          <code className={classes['id']} title={node.overlayPath}>
            {node.overlayPath.split('/').at(-1)}
          </code>
          <CopyButton text={node.overlayPath} label="Copy the overlay’s path" />
        </Fact>
      </Group>
      <Group title="Record">
        <Fact label="Owner">{node.ownerLogin}</Fact>
        <Fact label="Created">
          <RelativeTime at={node.createdAt} />
        </Fact>
        <Fact label="Id">
          <code className={classes['id']}>{node.id}</code>
          <CopyButton text={node.id} label="Copy the id" />
        </Fact>
      </Group>
    </div>
  )
}

function speed(node: NodeView): string {
  if (node.accelerator === 'kvm') return 'Full speed (KVM)'
  if (node.accelerator === 'tcg') return 'Emulated: this server has no KVM'
  return 'Not running'
}

function Group({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className={classes['group']}>
      <h2>{title}</h2>
      {children}
    </section>
  )
}

function Fact({ label, children }: { label: string; children: ReactNode }) {
  return (
    <div className={classes['fact']}>
      <span className={classes['label']}>{label}</span>
      <span className={classes['value']}>{children}</span>
    </div>
  )
}
