import type { NodeView } from '@domain/node.js'
import type { SnapshotView } from '@domain/snapshot.js'
import { ActionIcon, Menu } from '@mantine/core'
import { IconCopyPlus, IconDots, IconDownload, IconHeartRateMonitor, IconPencil, IconTrash } from '@tabler/icons-react'
import { Link, useNavigate } from '@tanstack/react-router'
import { apiUrl } from '../api/client.js'
import { ActionButton } from '../components/ActionButton.js'
import { MenuAction } from '../components/MenuAction.js'
import { RelativeTime } from '../components/RelativeTime.js'
import { formatSize } from '../util/size.js'
import type { AskingSnapshot } from './SnapshotTree.js'
import classes from './SnapshotTree.module.css'

interface Props {
  node: NodeView
  snapshot: SnapshotView
  snapshots: readonly SnapshotView[]
  onAsk: (asking: AskingSnapshot) => void
}

const CONSISTENCY: Record<SnapshotView['consistency'], string> = {
  stopped: 'taken while it was off',
  live: 'taken while it ran',
  frozen: 'taken while it ran, all written out',
}

/** One kept moment: what it is called, what one knows of it, and what can be done with it. */
export function SnapshotRow({ node, snapshot, snapshots, onAsk }: Props) {
  const parent = snapshots.find(({ id }) => id === snapshot.parentId)
  return (
    <div className={classes['snapshot']}>
      <div className={classes['what']}>
        <span className={classes['name']}>
          <strong>{snapshot.name}</strong>
          {snapshot.memory && <span className={classes['badge']}>with memory</span>}
          {snapshot.automatic && <span className={classes['badge']}>{snapshot.automatic}</span>}
          {snapshot.current && <span className={classes['badge']}>the node stands on it</span>}
        </span>
        {snapshot.note && <span className={classes['note']}>{snapshot.note}</span>}
        <span className={classes['meta']}>
          <RelativeTime at={snapshot.createdAt} />, {snapshot.actorLogin}, {CONSISTENCY[snapshot.consistency]}
          {snapshot.disks.length > 1 && `, ${snapshot.disks.length} disks`}
          {parent && `, after ${parent.name}`}
          <UsedBy snapshot={snapshot} />
        </span>
      </div>
      <span className={classes['size']}>{formatSize(snapshot.usedBytes)}</span>
      <span className={classes['actions']}>
        <ActionButton
          size="xs"
          variant="default"
          reason={node.actions.reset}
          aria-label={`Restore ${snapshot.name}`}
          onClick={() => onAsk({ what: 'restore', snapshot })}
        >
          Restore
        </ActionButton>
        <SnapshotMenu node={node} snapshot={snapshot} onAsk={onAsk} />
      </span>
    </div>
  )
}

function UsedBy({ snapshot: { usedBy } }: { snapshot: SnapshotView }) {
  if (usedBy.length === 0) return null
  return (
    <>
      , under{' '}
      {usedBy.slice(0, 4).map((node, index) => (
        <span key={node.id}>
          {index > 0 && ', '}
          <Link to="/nodes/$nodeId" params={{ nodeId: node.id }}>
            {node.name}
          </Link>
        </span>
      ))}
      {usedBy.length > 4 && ` and ${usedBy.length - 4} more`}
    </>
  )
}

function SnapshotMenu({ node, snapshot, onAsk }: Omit<Props, 'snapshots'>) {
  const navigate = useNavigate()
  return (
    <Menu>
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" size={28} aria-label={`More actions for ${snapshot.name}`}>
          <IconDots size={16} aria-hidden />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <MenuAction icon={IconPencil} onClick={() => onAsk({ what: 'edit', snapshot })}>
          Rename, or change the note…
        </MenuAction>
        <MenuAction
          icon={IconCopyPlus}
          reason={node.actions.clone}
          onClick={() => void navigate({ to: '/nodes', search: { clone: node.id } })}
        >
          Clone…
        </MenuAction>
        <MenuAction icon={IconHeartRateMonitor} onClick={() => onAsk({ what: 'boot', snapshot })}>
          Test boot…
        </MenuAction>
        {snapshot.disks.map(({ driveId }) => (
          <Menu.Item
            key={driveId}
            component="a"
            href={apiUrl(`nodes/${node.id}/snapshots/${snapshot.id}/export?drive=${encodeURIComponent(driveId)}`)}
            download
            leftSection={<IconDownload size={15} stroke={1.6} aria-hidden />}
          >
            {snapshot.disks.length > 1 ? `Download ${driveId} as qcow2` : 'Download as qcow2'}
          </Menu.Item>
        ))}
        <Menu.Divider />
        <MenuAction icon={IconTrash} danger onClick={() => onAsk({ what: 'delete', snapshot })}>
          Delete…
        </MenuAction>
      </Menu.Dropdown>
    </Menu>
  )
}
