import type { SpaceReport } from '@domain/storage.js'
import { IconDisc } from '@tabler/icons-react'
import { Link } from '@tanstack/react-router'
import { ButtonLink } from '../../components/ButtonLink.js'
import { EmptyState } from '../../components/EmptyState.js'
import table from '../../components/Table.module.css'
import { TableSkeleton } from '../../components/TableSkeleton.js'
import { SizeShare } from './SizeShare.js'

/** Every base image by what its file holds, and how many nodes share it. */
export function ImagesBySize({ space }: { space: SpaceReport | undefined }) {
  if (!space) return <TableSkeleton rows={3} />
  if (space.images.length === 0) {
    return (
      <EmptyState
        icon={<IconDisc size={22} stroke={1.5} />}
        title="No base images yet"
        action={<ButtonLink to="/images">Get an image</ButtonLink>}
      >
        A base image is stored once, however many nodes stand on it.
      </EmptyState>
    )
  }
  const images = space.images.toSorted((a, b) => b.usedBytes - a.usedBytes)
  return (
    <div className={`${table['scroll']} ${table['stack']}`}>
      <table className={table['table']}>
        <thead>
          <tr>
            <th>Image</th>
            <th>Shared by</th>
            <th>Holds on the disk</th>
          </tr>
        </thead>
        <tbody>
          {images.map(({ id, title, nodes, usedBytes }) => (
            <tr key={id}>
              <td data-lead>
                <span className={table['strong']}>{title}</span>
                <span className={table['sub']}>
                  <code>{id}</code>
                </span>
              </td>
              <td data-label="Shared by">
                {nodes > 0 ? (
                  <Link to="/nodes" search={{ q: id }}>
                    {nodes} {nodes === 1 ? 'node' : 'nodes'}
                  </Link>
                ) : (
                  <Link to="/images" className={table['soft']}>
                    no node: may be deleted
                  </Link>
                )}
              </td>
              <td data-label="Holds on the disk">
                <SizeShare parts={[usedBytes]} largest={images[0]?.usedBytes ?? 0} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
