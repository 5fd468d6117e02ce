import type { SpaceReport } from '@domain/storage.js'
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { Notice } from '../../components/Notice.js'
import type { StorageTab } from '../../search.js'
import { overcommitWords, shareWords, type SpacePart, spaceParts } from '../../storage/space-parts.js'
import { formatSize } from '../../util/size.js'
import classes from './SpacePicture.module.css'

/** The whole disk as one bar; each stretch leads to what is in it. */
export function SpacePicture({ space, tab }: { space: SpaceReport; tab: StorageTab }) {
  const parts = spaceParts(space)
  const total = parts.reduce((sum, { bytes }) => sum + bytes, 0)
  const free = parts.at(-1)?.bytes ?? 0
  const reserved = space.fileSystems.reduce((sum, { reservedBytes }) => sum + reservedBytes, 0)
  const overcommit = overcommitWords(space.overcommit)
  return (
    <section className={classes['picture']} aria-label="Room on the disk">
      <p className={classes['sum']}>
        <strong>{formatSize(free)}</strong> free of {formatSize(total)}
        {reserved > 0 && <span> · {formatSize(reserved)} reserved by running operations</span>}
        {space.fileSystems.length > 1 && <span> · on {space.fileSystems.length} file systems together</span>}
      </p>
      <div className={classes['bar']} aria-hidden="true">
        {parts.map(({ key, label, bytes }) => (
          <span
            key={key}
            data-part={key}
            title={`${label}: ${formatSize(bytes)}, ${shareWords(bytes, total)}`}
            style={{ flexGrow: bytes, ...(bytes > 0 ? {} : { display: 'none' }) }}
          />
        ))}
      </div>
      <ul className={classes['legend']}>
        {parts.map((part) => (
          <li key={part.key}>
            <Leads part={part} here={part.tab === tab}>
              <span className={classes['swatch']} data-part={part.key} aria-hidden />
              <span className={classes['label']}>{part.label}</span>
              <span className={classes['bytes']}>{formatSize(part.bytes)}</span>
              <span className={classes['share']}>{shareWords(part.bytes, total)}</span>
            </Leads>
          </li>
        ))}
      </ul>
      {overcommit.tone === 'warn' ? (
        <Notice tone="warn">
          <p>{overcommit.text}</p>
        </Notice>
      ) : (
        <p className={classes['overcommit']}>{overcommit.text}</p>
      )}
    </section>
  )
}

function Leads({ part, here, children }: { part: SpacePart; here: boolean; children: ReactNode }) {
  if (!part.tab) return <span className={classes['entry']}>{children}</span>
  return (
    <Link
      to="/storage"
      search={part.tab === 'nodes' ? {} : { tab: part.tab }}
      resetScroll={false}
      replace
      activeProps={{}}
      className={classes['entry']}
      data-here={here || undefined}
    >
      {children}
    </Link>
  )
}
