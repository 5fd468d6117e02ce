import type { NodeView } from '@domain/node.js'
import { Checkbox, UnstyledButton } from '@mantine/core'
import { IconArrowDown } from '@tabler/icons-react'
import type { ReactNode } from 'react'
import table from '../../components/Table.module.css'
import type { NodesSearch } from '../../search.js'
import type { Sort } from '../../util/node-filter.js'
import { NodeRow } from './NodeRow.js'
import classes from './NodesTable.module.css'
import { ShowMore } from './ShowMore.js'
import type { ListFocus } from './use-list-keys.js'
import type { Selection } from './use-selection.js'
import { useShown } from './use-shown.js'

const PAGE = 100

interface Props {
  nodes: readonly NodeView[]
  staff: boolean
  selection: Selection
  list: ListFocus
  search: NodesSearch
  onChange: (change: NodesSearch) => void
}

/** One row a node. */
export function NodesTable({ nodes, staff, selection, list, search, onChange }: Props) {
  const shown = useShown(PAGE)
  const sort = search.sort ?? 'name'
  const head = (by: Sort, label: string) => (
    <SortHead by={by} sort={sort} onSort={() => onChange({ sort: by })}>
      {label}
    </SortHead>
  )
  return (
    <>
      <div className={`${table['scroll']} ${classes['scroll']}`}>
        <table className={`${table['table']} ${classes['table']}`}>
          <thead>
            <tr>
              <th className={classes['check']}>
                <Checkbox
                  size="xs"
                  aria-label="Select all shown nodes"
                  checked={selection.all}
                  indeterminate={selection.nodes.length > 0 && !selection.all}
                  onChange={selection.toggleAll}
                />
              </th>
              {head('name', 'Name')}
              {head('status', 'Status')}
              <th data-column="stands">Where it stands</th>
              <th className={classes['screen']}>Screen</th>
              {head('image', 'Image')}
              {staff && head('owner', 'Owner')}
              <th className={classes['wide']}>CPUs, memory</th>
              {head('disk', 'Disk')}
              <th className={table['end']}>
                <span className="visually-hidden">Actions</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {nodes.slice(0, shown.now).map((node) => (
              <NodeRow
                key={node.id}
                node={node}
                staff={staff}
                selected={selection.has(node.id)}
                onSelect={() => selection.toggle(node.id)}
                row={list.row(node.id)}
              />
            ))}
          </tbody>
        </table>
      </div>
      <ShowMore shown={shown.limit} total={nodes.length} onMore={shown.more} />
    </>
  )
}

function SortHead({ by, sort, onSort, children }: { by: Sort; sort: Sort; onSort: () => void; children: ReactNode }) {
  const active = by === sort
  const direction = by === 'disk' || by === 'created' ? 'descending' : 'ascending'
  return (
    <th
      aria-sort={active ? direction : 'none'}
      data-column={by}
      className={by === 'disk' ? table['number'] : undefined}
    >
      <UnstyledButton className={classes['sort']} data-active={active || undefined} onClick={onSort}>
        {children}
        <IconArrowDown size={12} aria-hidden />
      </UnstyledButton>
    </th>
  )
}
