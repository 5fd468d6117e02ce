import type { Operation } from '@domain/operation.js'
import { Button } from '@mantine/core'
import { IconFilterOff, IconListCheck } from '@tabler/icons-react'
import { getRouteApi } from '@tanstack/react-router'
import { useState } from 'react'
import { LISTED, useOlderOperations, useOperations } from '../api/operations.js'
import { EmptyState } from '../components/EmptyState.js'
import { ErrorNotice } from '../components/ErrorNotice.js'
import { PageHeader } from '../components/PageHeader.js'
import table from '../components/Table.module.css'
import { TableSkeleton } from '../components/TableSkeleton.js'
import { filterOperations } from '../operations/operation-filter.js'
import { OPERATION_CHIPS, type OperationsSearch } from '../search.js'
import { readList } from '../util/address.js'
import { ShowMore } from './nodes/ShowMore.js'
import { OperationRow } from './operations/OperationRow.js'
import classes from './operations/Operations.module.css'
import { OperationsToolbar } from './operations/OperationsToolbar.js'

const route = getRouteApi('/operations')
const PAGE = 100

/** Every change that takes steps: running, whole, or taken back. */
export function OperationsPage() {
  const operations = useOperations()
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const [limit, setLimit] = useState(PAGE)
  const change = (next: OperationsSearch) =>
    void navigate({ search: (before) => ({ ...before, ...next }), replace: true, resetScroll: false })
  const [older, setOlder] = useState(false)
  const more = useOlderOperations(older)
  const all = join(operations.data ?? [], more.data ?? [])
  const shown = filterOperations(all, {
    chips: readList(search.state, OPERATION_CHIPS),
    kind: search.kind,
    text: search.q ?? '',
  })
  return (
    <div className={classes['page']}>
      <PageHeader
        title="Operations"
        description="Each is whole or taken back, also when the server dies in the middle."
      />
      {operations.isError && <ErrorNotice what="The operations could not be read" error={operations.error} />}
      {operations.isPending && <TableSkeleton rows={10} />}
      {operations.data && all.length === 0 && (
        <EmptyState icon={<IconListCheck size={22} stroke={1.5} />} title="No operations yet">
          Create, clone or start a node, or get an image: what it did is kept here.
        </EmptyState>
      )}
      {all.length > 0 && <OperationsToolbar operations={all} search={search} onChange={change} />}
      {all.length > 0 && shown.length === 0 && (
        <EmptyState icon={<IconFilterOff size={22} stroke={1.5} />} title="No operation matches">
          There are operations, but none with these words, this kind and this state.
        </EmptyState>
      )}
      {shown.length > 0 && (
        <div className={`${table['scroll']} ${table['stack']} ${classes['list']}`}>
          <table className={table['table']}>
            <thead>
              <tr>
                <th>What</th>
                <th>Kind</th>
                <th>How it stands</th>
                <th>Who</th>
                <th>Began</th>
                <th className={table['number']}>Took</th>
              </tr>
            </thead>
            <tbody>
              {shown.slice(0, limit).map((operation) => (
                <OperationRow key={operation.id} operation={operation} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      <ShowMore shown={limit} total={shown.length} onMore={() => setLimit(limit + PAGE)} />
      {!more.data && all.length >= LISTED && (
        <div className={classes['older']}>
          <Button variant="default" size="sm" loading={more.isFetching} onClick={() => setOlder(true)}>
            Look among older operations, too
          </Button>
        </div>
      )}
    </div>
  )
}

/** The live ones, then those that only the longer list has. */
function join(live: readonly Operation[], older: readonly Operation[]): Operation[] {
  const known = new Set(live.map(({ id }) => id))
  return [...live, ...older.filter(({ id }) => !known.has(id))]
}
