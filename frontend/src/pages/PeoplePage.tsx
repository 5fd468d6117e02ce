import type { User } from '@domain/user.js'
import { IconPlus, IconSearch, IconUsers } from '@tabler/icons-react'
import { getRouteApi } from '@tanstack/react-router'
import { useState } from 'react'
import { useMay } from '../api/current-user.js'
import { useUsers } from '../api/users.js'
import { ButtonLink } from '../components/ButtonLink.js'
import { EmptyState } from '../components/EmptyState.js'
import { ErrorNotice } from '../components/ErrorNotice.js'
import { PageHeader } from '../components/PageHeader.js'
import { SlowField } from '../components/SlowField.js'
import table from '../components/Table.module.css'
import { TableSkeleton } from '../components/TableSkeleton.js'
import { NotFoundPage } from './NotFoundPage.js'
import { CreateUserDialog } from './people/CreateUserDialog.js'
import classes from './people/People.module.css'
import { PersonDialogs, type PersonDialog } from './people/PersonDialogs.js'
import { PersonRow } from './people/PersonRow.js'

const route = getRouteApi('/people')

/** Accounts: who may sign in, and as what. */
export function PeoplePage() {
  const may = useMay()
  const users = useUsers({ enabled: may('user.list') })
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const [dialog, setDialog] = useState<PersonDialog>()
  if (!may('user.list')) return <NotFoundPage />
  const manages = may('user.manage')
  const shown = filterPeople(users.data ?? [], search.q ?? '')
  return (
    <div className={classes['page']}>
      <PageHeader
        title="People"
        description={
          manages
            ? 'Students see their own nodes, instructors those of all students, administrators everything.'
            : 'Accounts on this server. Administrators create and change them.'
        }
        actions={
          manages && (
            <ButtonLink
              to="/people"
              search={(before) => ({ ...before, new: 'yes' })}
              leftSection={<IconPlus size={16} aria-hidden />}
            >
              New account
            </ButtonLink>
          )
        }
      />
      <search>
        <SlowField
          className={classes['filter'] ?? ''}
          type="search"
          aria-label="Filter people"
          placeholder="Filter by name, login, role"
          leftSection={<IconSearch size={15} stroke={1.75} aria-hidden />}
          value={search.q ?? ''}
          onChange={(q) => void navigate({ search: (before) => ({ ...before, q }), replace: true })}
        />
      </search>
      {users.isError && <ErrorNotice what="The accounts could not be read" error={users.error} />}
      {users.isPending && <TableSkeleton rows={5} />}
      {users.data && shown.length === 0 && (
        <EmptyState icon={<IconUsers size={22} stroke={1.5} />} title="Nobody matches">
          No account has these words in its name, login or role.
        </EmptyState>
      )}
      {shown.length > 0 && (
        <div className={`${table['scroll']} ${table['stack']}`}>
          <table className={table['table']}>
            <thead>
              <tr>
                <th>Name</th>
                <th>Role</th>
                <th>Sign-in</th>
                <th>Last signed in</th>
                <th>Created</th>
                {manages && (
                  <th className={table['end']}>
                    <span className="visually-hidden">Actions</span>
                  </th>
                )}
              </tr>
            </thead>
            <tbody>
              {shown.map((user) => (
                <PersonRow key={user.id} user={user} manages={manages} onDialog={setDialog} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {search.new && manages && (
        <CreateUserDialog onClose={() => void navigate({ search: ({ q }) => (q ? { q } : {}), replace: true })} />
      )}
      {dialog && <PersonDialogs dialog={dialog} onClose={() => setDialog(undefined)} />}
    </div>
  )
}

function filterPeople(users: readonly User[], text: string): User[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean)
  return users
    .filter((user) =>
      words.every((word) => `${user.login} ${user.displayName} ${user.role}`.toLowerCase().includes(word)),
    )
    .toSorted((a, b) => a.login.localeCompare(b.login))
}
