import type { SpaceReport } from '@domain/storage.js'
import { IconServer2 } from '@tabler/icons-react'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { ButtonLink } from '../../components/ButtonLink.js'
import { EmptyState } from '../../components/EmptyState.js'
import table from '../../components/Table.module.css'
import { TableSkeleton } from '../../components/TableSkeleton.js'
import { formatSize } from '../../util/size.js'
import { ShowMore } from '../nodes/ShowMore.js'
import { SizeShare } from './SizeShare.js'

const PAGE = 100

/** Every node by what its own disks hold, the largest first. */
export function NodesBySize({ space }: { space: SpaceReport | undefined }) {
  const [limit, setLimit] = useState(PAGE)
  if (!space) return <TableSkeleton rows={6} />
  if (space.nodes.length === 0) {
    return (
      <EmptyState
        icon={<IconServer2 size={22} stroke={1.5} />}
        title="No nodes yet"
        action={
          <ButtonLink to="/nodes" search={{ new: 'yes' }}>
            Create a node
          </ButtonLink>
        }
      >
        Each node keeps what it changes in a file of its own; here you see how large they grow.
      </EmptyState>
    )
  }
  const nodes = space.nodes.toSorted((a, b) => b.usedBytes + b.drivesBytes - a.usedBytes - a.drivesBytes)
  const largest = nodes[0] ? nodes[0].usedBytes + nodes[0].drivesBytes : 0
  return (
    <>
      <div className={`${table['scroll']} ${table['stack']}`}>
        <table className={table['table']}>
          <thead>
            <tr>
              <th>Node</th>
              <th>Owner</th>
              <th className={table['number']}>Root disk</th>
              <th className={table['number']}>Drives</th>
              <th className={table['number']}>Promised to the guest</th>
              <th>Holds on the disk</th>
            </tr>
          </thead>
          <tbody>
            {nodes.slice(0, limit).map(({ id, name, ownerLogin, usedBytes, drivesBytes, virtualBytes }) => (
              <tr key={id}>
                <td data-lead>
                  <Link to="/nodes/$nodeId/disk" params={{ nodeId: id }} className={table['strong']}>
                    {name}
                  </Link>
                </td>
                <td data-label="Owner" className={table['soft']}>
                  {ownerLogin}
                </td>
                <td data-label="Root disk" className={table['number']}>
                  {formatSize(usedBytes)}
                </td>
                <td data-label="Drives" className={table['number']}>
                  {drivesBytes > 0 ? formatSize(drivesBytes) : '–'}
                </td>
                <td data-label="Promised to the guest" className={table['number']}>
                  {formatSize(virtualBytes)}
                </td>
                <td data-label="Holds on the disk">
                  <SizeShare parts={[usedBytes, drivesBytes]} largest={largest} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <ShowMore shown={limit} total={nodes.length} onMore={() => setLimit(limit + PAGE)} />
    </>
  )
}
