import type { AuditEntry } from '@domain/event.js'
import type { AuditFilter } from '../../api/audit.js'
import { LinkButton } from '../../components/LinkButton.js'
import { Mark } from '../../components/Mark.js'
import { RelativeTime } from '../../components/RelativeTime.js'
import table from '../../components/Table.module.css'
import classes from './Audit.module.css'

/** One entry; a click on who, what or on what shows only those. */
export function AuditRow({ entry, onFilter }: { entry: AuditEntry; onFilter: (filter: AuditFilter) => void }) {
  const details = Object.entries(entry.details)
  return (
    <tr>
      <td data-label="When" className={table['nowrap']}>
        <RelativeTime at={entry.at} />
      </td>
      <td data-label="Who">
        <LinkButton onClick={() => onFilter({ actor: entry.actorLogin })}>{entry.actorLogin}</LinkButton>
      </td>
      <td data-label="What" className={classes['action']}>
        <LinkButton onClick={() => onFilter({ action: entry.action })}>{entry.action}</LinkButton>
      </td>
      <td data-label="On">
        {entry.objectId ? (
          <LinkButton onClick={() => onFilter({ object: entry.objectId ?? undefined })}>
            {entry.objectName ?? entry.objectId}
          </LinkButton>
        ) : (
          (entry.objectName ?? <span className={table['soft']}>–</span>)
        )}
        {details.length > 0 && (
          <span className={`${table['sub']} ${classes['details']}`}>
            {details.map(([name, value]) => `${name} ${shown(value)}`).join(' · ')}
          </span>
        )}
      </td>
      <td data-label="From" className={table['soft']}>
        <code>{entry.address}</code>
      </td>
      <td data-label="Result" title={entry.requestId ? `Request ${entry.requestId}` : undefined}>
        <span className={classes['result']}>
          {entry.result === 'success' ? (
            <>
              <Mark shape="dot" tone="run" /> Done
            </>
          ) : (
            <>
              <Mark shape="cross" tone="bad" /> {entry.code ?? 'Failed'}
            </>
          )}
        </span>
      </td>
    </tr>
  )
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
