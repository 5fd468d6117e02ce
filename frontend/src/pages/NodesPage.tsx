import { useMediaQuery } from '@mantine/hooks'
import { IconPlus, IconStack2 } from '@tabler/icons-react'
import { getRouteApi } from '@tanstack/react-router'
import { lazy, Suspense, useRef } from 'react'
import { useCurrentUser, useMay } from '../api/current-user.js'
import { useNodes } from '../api/nodes.js'
import { useSafeMode } from '../api/system.js'
import { ButtonLink } from '../components/ButtonLink.js'
import { ErrorNotice } from '../components/ErrorNotice.js'
import { PageHeader } from '../components/PageHeader.js'
import type { NodesSearch } from '../search.js'
import { readList } from '../util/address.js'
import { CHIPS, filterNodes, sortNodes } from '../util/node-filter.js'
import { BulkBar } from './nodes/BulkBar.js'
import { NoMatch, NoNodes } from './nodes/NoNodes.js'
import { NodesCards } from './nodes/NodesCards.js'
import classes from './NodesPage.module.css'
import { NodesSkeleton } from './nodes/NodesSkeleton.js'
import { NodesTable } from './nodes/NodesTable.js'
import { NodesToolbar } from './nodes/NodesToolbar.js'
import { useListKeys } from './nodes/use-list-keys.js'
import { useSelection } from './nodes/use-selection.js'

const CreateNodeDialog = lazy(async () => ({
  default: (await import('./nodes/CreateNodeDialog.js')).CreateNodeDialog,
}))

const CreateManyDialog = lazy(async () => ({
  default: (await import('./nodes/many/CreateManyDialog.js')).CreateManyDialog,
}))
const CloneDialog = lazy(async () => ({ default: (await import('../clone/CloneDialog.js')).CloneDialog }))

const ResetNodesDialog = lazy(async () => ({
  default: (await import('../reset/ResetNodesDialog.js')).ResetNodesDialog,
}))
const TestBootDialog = lazy(async () => ({ default: (await import('../test-boot/TestBootDialog.js')).TestBootDialog }))

const SafeModeNotice = lazy(async () => ({ default: (await import('../components/SafeModeNotice.js')).SafeModeNotice }))

const route = getRouteApi('/nodes')

/** Every node of mine (of my students, of all): what it does, where it stands, and the one thing to do next. */
export function NodesPage() {
  const nodes = useNodes()
  const safeMode = useSafeMode()
  const user = useCurrentUser()
  const staff = useMay()('node.createForOthers')
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const filterField = useRef<HTMLInputElement>(null)
  const change = (next: NodesSearch) =>
    void navigate({ search: (before) => ({ ...before, ...next }), replace: true, resetScroll: false })

  const all = nodes.data ?? []
  const mine = search.owner === 'me' ? all.filter((node) => node.ownerId === user.id) : all
  const filter = {
    text: search.q ?? '',
    chips: readList(search.status, CHIPS),
    ownerId: search.owner === 'me' ? user.id : undefined,
  }
  const shown = sortNodes(filterNodes(all, filter), search.sort ?? 'name')
  const selection = useSelection(shown, search.selected, (selected) => change({ selected }))
  const narrow = useMediaQuery('(max-width: 47.99em)', false, { getInitialValueInEffect: false })
  const view = narrow ? 'cards' : (search.view ?? (staff ? 'table' : 'cards'))
  const cloned = all.find((node) => node.id === search.clone && node.actions.clone === null)
  const reset = all.find((node) => node.id === search.reset && node.actions.reset === null)
  const booted = all.find((node) => node.id === search.boot)
  const list = useListKeys({ nodes: shown, selection, filterField, columns: view === 'cards' })

  if (nodes.isPending) return <NodesSkeleton />
  return (
    <>
      <PageHeader
        title={staff ? 'Nodes' : 'My nodes'}
        actions={
          <>
            {staff && (
              <ButtonLink
                to="/nodes"
                search={(before) => ({ ...before, many: 'yes' })}
                variant="default"
                leftSection={<IconStack2 size={16} stroke={1.75} aria-hidden />}
              >
                Create many
              </ButtonLink>
            )}
            <ButtonLink
              to="/nodes"
              search={(before) => ({ ...before, new: 'yes' })}
              leftSection={<IconPlus size={16} aria-hidden />}
            >
              New node
            </ButtonLink>
          </>
        }
      />
      <div className={classes['page']}>
        <Suspense>{safeMode && <SafeModeNotice refusal={safeMode} />}</Suspense>
        {nodes.isError && !safeMode && <ErrorNotice what="The list of nodes may be old" error={nodes.error} />}
        {nodes.data?.length === 0 && <NoNodes />}
        {all.length > 0 && (
          <>
            <NodesToolbar
              nodes={mine}
              search={search}
              view={view}
              staff={staff}
              field={filterField}
              onChange={change}
            />
            {shown.length === 0 && <NoMatch onClear={() => change({ q: '', status: '', owner: undefined })} />}
            {shown.length > 0 && view === 'table' && (
              <NodesTable
                nodes={shown}
                staff={staff}
                selection={selection}
                list={list}
                search={search}
                onChange={change}
              />
            )}
            {shown.length > 0 && view === 'cards' && (
              <NodesCards nodes={shown} staff={staff} selection={selection} list={list} />
            )}
            <BulkBar nodes={selection.nodes} onClear={selection.clear} />
          </>
        )}
      </div>
      <Suspense>
        {search.new && <CreateNodeDialog begin={search.new} onClose={() => change({ new: undefined })} />}
        {search.many && <CreateManyDialog onClose={() => change({ many: undefined })} />}
        {cloned && <CloneDialog node={cloned} onClose={() => change({ clone: undefined })} />}
        {reset && <ResetNodesDialog nodes={[reset]} onClose={() => change({ reset: undefined })} />}
        {booted && (
          <TestBootDialog name={booted.name} of={{ nodeId: booted.id }} onClose={() => change({ boot: undefined })} />
        )}
      </Suspense>
    </>
  )
}
