import type { Operation } from '@domain/operation.js'
import { Link } from '@tanstack/react-router'
import { RelativeTime } from '../../components/RelativeTime.js'
import table from '../../components/Table.module.css'
import { itemWords, tookWords } from '../../operations/facts.js'
import { kindWords } from '../../operations/kinds.js'
import { OperationProgress } from '../../operations/OperationProgress.js'
import { OutcomeMark } from '../../operations/OutcomeMark.js'
import { useNow } from '../../util/use-now.js'
import classes from './Operations.module.css'

export function OperationRow({ operation }: { operation: Operation }) {
  const running = operation.state === 'running'
  return (
    <tr>
      <td data-lead className={classes['what']}>
        <Link to="/operations/$operationId" params={{ operationId: operation.id }} className={classes['title']}>
          {operation.title}
        </Link>
        <Remark operation={operation} />
      </td>
      <td data-label="Kind" className={table['nowrap']}>
        {kindWords(operation.kind)}
      </td>
      <td data-label="State" className={classes['state']}>
        {running ? <OperationProgress operation={operation} /> : <OutcomeMark operation={operation} />}
      </td>
      <td data-label="Who">{operation.actorLogin}</td>
      <td data-label="Began" className={`${table['nowrap']} ${table['soft']}`}>
        <RelativeTime at={operation.startedAt} />
      </td>
      <td data-label="Took" className={table['number']}>
        {running ? <Running operation={operation} /> : tookWords(operation, 0)}
      </td>
    </tr>
  )
}

/** Why it failed, or how many of many it did. */
function Remark({ operation }: { operation: Operation }) {
  const text = operation.error?.message ?? (operation.state === 'running' ? null : itemWords(operation.items))
  if (!text) return null
  return (
    <span className={`${table['sub']} ${classes['remark']}`} title={text}>
      {text}
    </span>
  )
}

function Running({ operation }: { operation: Operation }) {
  return <>{tookWords(operation, useNow())}</>
}
