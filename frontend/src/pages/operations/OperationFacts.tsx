import type { Operation } from '@domain/operation.js'
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { CopyButton } from '../../components/CopyButton.js'
import { RelativeTime } from '../../components/RelativeTime.js'
import { byteWords, tookWords } from '../../operations/facts.js'
import { kindWords } from '../../operations/kinds.js'
import { OutcomeMark } from '../../operations/OutcomeMark.js'
import { useNow } from '../../util/use-now.js'
import classes from './OperationPage.module.css'

/** What, who, when, how long, how it ended. */
export function OperationFacts({ operation }: { operation: Operation }) {
  const took = tookWords(operation, useNow())
  const bytes = byteWords(operation)
  const { target } = operation
  return (
    <dl className={classes['facts']}>
      <Fact name="State">
        <OutcomeMark operation={operation} />
      </Fact>
      <Fact name="Kind">{kindWords(operation.kind)}</Fact>
      <Fact name="Asked for by">{operation.actorLogin}</Fact>
      <Fact name="Began">
        <RelativeTime at={operation.startedAt} />
      </Fact>
      <Fact name={operation.endedAt ? 'Took' : 'Running for'}>{took}</Fact>
      {bytes && <Fact name="Bytes">{bytes}</Fact>}
      {target && !operation.kind.endsWith('.delete') && (
        <Fact name="About">
          {target.type === 'node' ? (
            <Link to="/nodes/$nodeId" params={{ nodeId: target.id }}>
              the node
            </Link>
          ) : (
            <code>{target.id}</code>
          )}
        </Fact>
      )}
      <Fact name="Id">
        <code title={operation.id}>{operation.id.slice(0, 8)}</code>
        <CopyButton text={operation.id} label="Copy the id" />
      </Fact>
    </dl>
  )
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}
