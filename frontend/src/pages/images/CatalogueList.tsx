import type { CatalogEntry } from '@domain/image.js'
import { IconDownload } from '@tabler/icons-react'
import { type ImageShelf, usePullImage } from '../../api/images.js'
import { ActionButton } from '../../components/ActionButton.js'
import table from '../../components/Table.module.css'
import { toastError } from '../../components/toast.js'
import { formatSize } from '../../util/size.js'
import classes from './Images.module.css'
import { Here } from './Here.js'
import { useWorkOn } from './use-work-on.js'

/** Public cloud images that can be downloaded, checked and kept. */
export function CatalogueList({ shelf }: { shelf: ImageShelf }) {
  if (shelf.catalog.length === 0) return null
  return (
    <section className={classes['section']}>
      <header>
        <h2>Catalogue</h2>
        <p>Public cloud images. A download goes on where it stopped and is checked before it can be used.</p>
      </header>
      <div className={`${table['scroll']} ${table['stack']}`}>
        <table className={table['table']}>
          <thead>
            <tr>
              <th>Image</th>
              <th>Version</th>
              <th>From</th>
              <th className={table['number']}>Download</th>
              <th className={table['end']}>
                <span className="visually-hidden">Actions</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {shelf.catalog.map((entry) => (
              <CatalogueRow
                key={entry.id}
                entry={entry}
                present={shelf.images.some((image) => image.id === entry.id)}
              />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  )
}

function CatalogueRow({ entry, present }: { entry: CatalogEntry; present: boolean }) {
  const pull = usePullImage()
  const work = useWorkOn(entry.id)
  return (
    <tr>
      <td data-lead className={classes['description']}>
        <span className={table['strong']}>{entry.title}</span>
        <span className={table['sub']}>{entry.description}</span>
      </td>
      <td data-label="Version" className={table['nowrap']}>
        {entry.version}
      </td>
      <td data-label="From" className={table['soft']}>
        {new URL(entry.url).hostname}
      </td>
      <td data-label="Download" className={table['number']}>
        {work ? <span className={classes['progress']}>{work}</span> : formatSize(entry.sizeBytes)}
      </td>
      <td className={table['end']}>
        {present ? (
          <Here />
        ) : (
          <ActionButton
            size="xs"
            variant="default"
            leftSection={<IconDownload size={14} stroke={1.75} aria-hidden />}
            loading={pull.isPending}
            reason={work ? 'It is being downloaded; see tasks.' : null}
            aria-label={`Download ${entry.title}`}
            onClick={() =>
              pull.mutate(entry.id, { onError: (error) => toastError(`${entry.title} is not being downloaded`, error) })
            }
          >
            Download
          </ActionButton>
        )}
      </td>
    </tr>
  )
}
