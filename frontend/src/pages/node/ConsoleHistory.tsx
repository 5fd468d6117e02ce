import type { ConsoleVisit } from '@domain/console-history.js'
import type { NodeView } from '@domain/node.js'
import { Button } from '@mantine/core'
import { IconUsers } from '@tabler/icons-react'
import { useConsoleHistory } from '../../api/console-history.js'
import { EmptyState } from '../../components/EmptyState.js'
import { ErrorNotice } from '../../components/ErrorNotice.js'
import { Mark } from '../../components/Mark.js'
import { RelativeTime } from '../../components/RelativeTime.js'
import table from '../../components/Table.module.css'
import { TableSkeleton } from '../../components/TableSkeleton.js'
import { elapsed } from '../../util/time.js'
import { useNow } from '../../util/use-now.js'
import classes from './SessionsTab.module.css'

/** Who had which console of the node open, and for how long. */
export function ConsoleHistory({ node }: { node: NodeView }) {
  const history = useConsoleHistory(node.id)
  const now = useNow(10_000)
  const visits = history.data?.pages.flatMap((page) => page.visits) ?? []
  return (
    <section className={classes['part']} aria-labelledby="console-history">
      <h2 id="console-history">Who had a console open</h2>
      {history.isError && <ErrorNotice what="The console history could not be read" error={history.error} />}
      {history.isPending && <TableSkeleton rows={4} />}
      {history.data && visits.length === 0 && (
        <EmptyState icon={<IconUsers size={22} stroke={1.5} />} title="Nobody yet">
          Whoever opens a console of {node.name} is listed here, with the time, the kind and how long.
        </EmptyState>
      )}
      {visits.length > 0 && (
        <div className={`${table['scroll']} ${table['stack']}`}>
          <table className={table['table']} aria-labelledby="console-history">
            <thead>
              <tr>
                <th>Opened</th>
                <th>Who</th>
                <th>Console</th>
                <th>For</th>
                <th>From</th>
              </tr>
            </thead>
            <tbody>
              {visits.map((visit) => (
                <Visit key={visit.id} visit={visit} now={now} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {history.hasNextPage && (
        <div className={classes['more']}>
          <Button
            variant="default"
            size="sm"
            loading={history.isFetchingNextPage}
            onClick={() => void history.fetchNextPage()}
          >
            Show older ones
          </Button>
        </div>
      )}
    </section>
  )
}

function Visit({ visit, now }: { visit: ConsoleVisit; now: number }) {
  return (
    <tr>
      <td data-label="Opened" className={table['nowrap']}>
        <RelativeTime at={visit.openedAt} />
      </td>
      <td data-label="Who" className={table['strong']}>
        {visit.login}
      </td>
      <td data-label="Console">
        <span>
          {KINDS[visit.kind]}
          <span className={table['sub']}>{howWords(visit)}</span>
        </span>
      </td>
      <td data-label="For" className={table['nowrap']}>
        <Duration visit={visit} now={now} />
      </td>
      <td data-label="From" className={table['soft']}>
        {visit.address ?? 'not shown'}
      </td>
    </tr>
  )
}

const KINDS = { serial: 'Serial', screen: 'Screen', ssh: 'SSH' } as const

function howWords({ engine, kind, mode, recorded }: ConsoleVisit): string {
  const through = kind === 'screen' ? (engine === 'guacamole' ? 'through Guacamole' : 'directly') : undefined
  return [mode === 'view' ? 'watched' : 'could type', through, recorded ? 'recorded' : undefined]
    .filter((word) => word !== undefined)
    .join(', ')
}

function Duration({ visit: { openedAt, closedAt, ended }, now }: { visit: ConsoleVisit; now: number }) {
  const length = elapsed((closedAt === null ? now : Date.parse(closedAt)) - Date.parse(openedAt))
  if (closedAt === null) {
    return (
      <span className={classes['open']}>
        <Mark shape="dot" tone="run" /> open for {length}
      </span>
    )
  }
  return ended === 'lost' ? <span title="SandLabX ended without a word">at least {length}</span> : length
}
