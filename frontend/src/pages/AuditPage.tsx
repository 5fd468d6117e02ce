import { Button } from '@mantine/core'
import { IconHistory } from '@tabler/icons-react'
import { getRouteApi } from '@tanstack/react-router'
import { useAudit } from '../api/audit.js'
import { useMay } from '../api/current-user.js'
import { EmptyState } from '../components/EmptyState.js'
import { ErrorNotice } from '../components/ErrorNotice.js'
import { PageHeader } from '../components/PageHeader.js'
import table from '../components/Table.module.css'
import { TableSkeleton } from '../components/TableSkeleton.js'
import classes from './audit/Audit.module.css'
import { AuditFilters } from './audit/AuditFilters.js'
import { AuditRow } from './audit/AuditRow.js'
import { NotFoundPage } from './NotFoundPage.js'

const route = getRouteApi('/audit')

/** Who did what, on what, from where, and whether it worked. */
export function AuditPage() {
  const may = useMay()
  if (!may('audit.read')) return <NotFoundPage />
  return <AuditLog />
}

function AuditLog() {
  const filter = route.useSearch()
  const navigate = route.useNavigate()
  const audit = useAudit(filter)
  const entries = audit.data?.pages.flatMap((page) => page.entries) ?? []
  return (
    <div className={classes['page']}>
      <PageHeader title="Activity" description="Every change on this server, and every console that was opened." />
      <AuditFilters filter={filter} onChange={(next) => void navigate({ search: next, replace: true })} />
      {audit.isError && <ErrorNotice what="The activity log could not be read" error={audit.error} />}
      {audit.isPending && <TableSkeleton rows={10} />}
      {audit.data && entries.length === 0 && (
        <EmptyState icon={<IconHistory size={22} stroke={1.5} />} title="Nothing matches">
          No entry has this person, action and object.
        </EmptyState>
      )}
      {entries.length > 0 && (
        <div className={`${table['scroll']} ${table['stack']} ${classes['log']}`}>
          <table className={table['table']}>
            <thead>
              <tr>
                <th>When</th>
                <th>Who</th>
                <th>What</th>
                <th>On</th>
                <th>From</th>
                <th>Result</th>
              </tr>
            </thead>
            <tbody>
              {entries.map((entry) => (
                <AuditRow key={entry.id} entry={entry} onFilter={(next) => void navigate({ search: next })} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {audit.hasNextPage && (
        <div className={classes['more']}>
          <Button
            variant="default"
            size="sm"
            loading={audit.isFetchingNextPage}
            onClick={() => void audit.fetchNextPage()}
          >
            Show older entries
          </Button>
        </div>
      )}
    </div>
  )
}
