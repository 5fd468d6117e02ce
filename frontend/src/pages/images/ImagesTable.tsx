import type { ImageView } from '@domain/image.js'
import { IconDisc, IconPlus, IconTrash } from '@tabler/icons-react'
import { Link } from '@tanstack/react-router'
import { lazy, Suspense, useState } from 'react'
import { IconAction } from '../../components/ActionButton.js'
import { ButtonLink } from '../../components/ButtonLink.js'
import { EmptyState } from '../../components/EmptyState.js'
import table from '../../components/Table.module.css'
import { formatSize } from '../../util/size.js'
import classes from './Images.module.css'

const DeleteImageDialog = lazy(async () => ({ default: (await import('./DeleteImageDialog.js')).DeleteImageDialog }))

const ORIGINS: Record<ImageView['origin'], string> = {
  built: 'Built here',
  pulled: 'Downloaded',
  uploaded: 'Uploaded',
  imported: 'Imported',
}

/** The images on this server, and which nodes stand on each. */
export function ImagesTable({ images }: { images: readonly ImageView[] }) {
  const [deleting, setDeleting] = useState<ImageView>()
  if (images.length === 0) {
    return (
      <EmptyState icon={<IconDisc size={22} stroke={1.5} />} title="No images on this server yet">
        Build a small one below in a few minutes, download one from the catalogue, or upload your own.
      </EmptyState>
    )
  }
  return (
    <>
      <div className={`${table['scroll']} ${table['stack']} ${classes['images']}`}>
        <table className={table['table']}>
          <thead>
            <tr>
              <th>Image</th>
              <th>Version</th>
              <th className={classes['wide']}>Origin</th>
              <th className={table['number']}>On the server</th>
              <th className={table['number']}>Disk</th>
              <th>Used by</th>
              <th className={table['end']}>
                <span className="visually-hidden">Actions</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {images.map((image) => (
              <tr key={image.id}>
                <td data-lead className={classes['image']}>
                  <span className={table['strong']}>{image.title}</span>
                  <span className={table['sub']}>
                    <code>{image.id}</code>
                    {image.firmware === 'uefi' && ' · UEFI'}
                    {!image.cloudInit && ' · takes no account'}
                  </span>
                </td>
                <td data-label="Version" className={table['nowrap']}>
                  {image.version}
                </td>
                <td data-label="Origin" className={`${table['nowrap']} ${classes['wide']}`}>
                  {ORIGINS[image.origin]}
                </td>
                <td data-label="On the server" className={table['number']}>
                  {formatSize(image.fingerprint.sizeBytes)}
                </td>
                <td data-label="Disk" className={table['number']}>
                  {formatSize(image.virtualSizeBytes)}
                </td>
                <td data-label="Used by">
                  <UsedBy image={image} />
                </td>
                <td className={table['end']}>
                  <span className={table['actions']}>
                    <ButtonLink
                      to="/nodes"
                      search={{ new: image.id }}
                      size="xs"
                      variant="default"
                      leftSection={<IconPlus size={14} aria-hidden />}
                      aria-label={`New node from ${image.title}`}
                    >
                      New node
                    </ButtonLink>
                    <IconAction
                      label={`Delete ${image.title}`}
                      reason={whyKept(image)}
                      onClick={() => setDeleting(image)}
                    >
                      <IconTrash size={15} stroke={1.6} />
                    </IconAction>
                  </span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <Suspense>{deleting && <DeleteImageDialog image={deleting} onClose={() => setDeleting(undefined)} />}</Suspense>
    </>
  )
}

const SHOWN = 2

function UsedBy({ image }: { image: ImageView }) {
  if (image.usedBy.length === 0) return <span className={table['soft']}>no node</span>
  const rest = image.usedBy.length - SHOWN
  return (
    <span className={classes['users']}>
      {image.usedBy.slice(0, SHOWN).map((node) => (
        <Link key={node.id} to="/nodes/$nodeId" params={{ nodeId: node.id }}>
          {node.name}
        </Link>
      ))}
      {rest > 0 && (
        <Link to="/nodes" search={{ q: image.id }}>
          and {rest} more
        </Link>
      )}
    </span>
  )
}

function whyKept(image: ImageView): string | null {
  const [first, ...others] = image.usedBy
  if (!first) return null
  const who = others.length === 0 ? `node ${first.name} stands` : `${image.usedBy.length} nodes stand`
  return `The ${who} on it. Delete ${others.length === 0 ? 'the node' : 'them'} first.`
}
