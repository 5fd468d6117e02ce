import type { SpaceReport } from '@domain/storage.js'
import { IconCamera } from '@tabler/icons-react'
import { Link } from '@tanstack/react-router'
import { useNodes } from '../../api/nodes.js'
import { ButtonLink } from '../../components/ButtonLink.js'
import { EmptyState } from '../../components/EmptyState.js'
import table from '../../components/Table.module.css'
import { TableSkeleton } from '../../components/TableSkeleton.js'
import { SizeShare } from './SizeShare.js'

/** Every snapshot by what it keeps, and the layers that linked clones share. */
export function SnapshotsBySize({ space }: { space: SpaceReport | undefined }) {
  const nodes = useNodes()
  if (!space) return <TableSkeleton rows={4} />
  if (space.snapshots.length === 0) {
    return (
      <EmptyState
        icon={<IconCamera size={22} stroke={1.5} />}
        title="No snapshots yet"
        action={<ButtonLink to="/nodes">Choose a node</ButtonLink>}
      >
        A snapshot keeps a node’s disks as they are at one moment; take one in the node’s menu.
      </EmptyState>
    )
  }
  const snapshots = space.snapshots.toSorted((a, b) => b.usedBytes - a.usedBytes)
  const idOf = new Map(nodes.data?.map(({ name, id }) => [name, id]))
  return (
    <div className={`${table['scroll']} ${table['stack']}`}>
      <table className={table['table']}>
        <thead>
          <tr>
            <th>Snapshot</th>
            <th>Node</th>
            <th>Holds on the disk</th>
          </tr>
        </thead>
        <tbody>
          {snapshots.map(({ id, name, nodeName, usedBytes, shared }) => {
            const nodeId = idOf.get(nodeName)
            return (
              <tr key={id}>
                <td data-lead>
                  <span className={table['strong']}>{shared ? 'Shared layer' : name}</span>
                  {shared && (
                    <span className={table['sub']}>Linked clones stand on it; it goes with the last one.</span>
                  )}
                </td>
                <td data-label="Node">
                  {nodeId ? (
                    <Link to="/nodes/$nodeId/snapshots" params={{ nodeId }}>
                      {nodeName}
                    </Link>
                  ) : (
                    nodeName
                  )}
                </td>
                <td data-label="Holds on the disk">
                  <SizeShare parts={[usedBytes]} largest={snapshots[0]?.usedBytes ?? 0} />
                </td>
              </tr>
            )
          })}
        </tbody>
      </table>
    </div>
  )
}
