import type { SpaceReport } from '@domain/storage.js'
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { Notice } from '../../components/Notice.js'
import type { StorageTab } from '../../search.js'
import { labParts, overcommitWords, shareWords, type SpacePart, spaceParts } from '../../storage/space-parts.js'
import { formatSize } from '../../util/size.js'
import classes from './SpacePicture.module.css'

/** What the lab holds, and what that is of the whole disk; each stretch leads to what is in it. */
export function SpacePicture({ space, tab }: { space: SpaceReport; tab: StorageTab }) {
  const parts = spaceParts(space)
  const own = labParts(parts)
  const total = sum(parts)
  const held = sum(own)
  const free = parts.at(-1)?.bytes ?? 0
  const reserved = space.fileSystems.reduce((bytes, { reservedBytes }) => bytes + reservedBytes, 0)
  const overcommit = overcommitWords(space.overcommit)
  return (
    <section className={classes['picture']} aria-label="Room on the disk">
      <p className={classes['sum']}>
        The lab holds <strong>{formatSize(held)}</strong>
      </p>
      <Bar parts={own} total={held} />
      <Legend parts={own} total={held} tab={tab} />
      <p className={classes['sum']}>
        <strong>{formatSize(free)}</strong> free of {formatSize(total)}
        {reserved > 0 && ` · ${formatSize(reserved)} reserved by running operations`}
        {space.fileSystems.length > 1 && ` · on ${space.fileSystems.length} file systems together`}
      </p>
      <Bar parts={parts} total={total} thin />
      <Legend parts={wholeDisk(parts, held)} total={total} tab={tab} />
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

const sum = (parts: readonly SpacePart[]) => parts.reduce((bytes, part) => bytes + part.bytes, 0)

function wholeDisk(parts: readonly SpacePart[], held: number): SpacePart[] {
  const lab: SpacePart = { key: 'nodes', label: 'The lab', bytes: held, tab: null }
  return [lab, ...parts.filter(({ key }) => key === 'other' || key === 'free')]
}

function Bar({ parts, total, thin = false }: { parts: readonly SpacePart[]; total: number; thin?: boolean }) {
  return (
    <div className={classes['bar']} data-thin={thin || undefined} aria-hidden="true">
      {parts.map(({ key, label, bytes }) => (
        <span
          key={key}
          data-part={key}
          title={`${label}: ${formatSize(bytes)}, ${shareWords(bytes, total)}`}
          style={{ flexGrow: bytes, ...(bytes > 0 ? {} : { display: 'none' }) }}
        />
      ))}
    </div>
  )
}

function Legend({ parts, total, tab }: { parts: readonly SpacePart[]; total: number; tab: StorageTab }) {
  return (
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
