import type { NodeView } from '@domain/node.js'
import { Checkbox } from '@mantine/core'
import { Link } from '@tanstack/react-router'
import { NodeMenu } from '../../components/NodeMenu.js'
import { NodeScreen } from '../../components/NodeScreen.js'
import { NodeStatusMark } from '../../components/NodeStatusMark.js'
import { PrimaryAction } from '../../components/PrimaryAction.js'
import { formatMemory } from '../../util/size.js'
import { useNow } from '../../util/use-now.js'
import { whereItStands } from '../../util/where-it-stands.js'
import classes from './NodesCards.module.css'
import type { ListFocus } from './use-list-keys.js'

interface Props {
  node: NodeView
  staff: boolean
  selected: boolean
  /** Something is selected: all checkboxes show. */
  selecting: boolean
  onSelect: () => void
  row: ReturnType<ListFocus['row']>
}

export function NodeCard({ node, staff, selected, selecting, onSelect, row }: Props) {
  const stands = whereItStands(node, useNow(5000))
  return (
    <li
      {...row}
      className={classes['card']}
      data-selected={selected || undefined}
      data-selecting={selecting || undefined}
    >
      <Link
        to="/nodes/$nodeId"
        params={{ nodeId: node.id }}
        className={classes['screen']}
        tabIndex={-1}
        aria-hidden="true"
      >
        <NodeScreen node={node} size="card" />
      </Link>
      <Checkbox
        className={classes['check'] ?? ''}
        size="xs"
        aria-label={`Select ${node.name}`}
        checked={selected}
        onChange={onSelect}
      />
      <div className={classes['body']}>
        <div className={classes['line']}>
          <Link to="/nodes/$nodeId" params={{ nodeId: node.id }} className={classes['name']}>
            {node.name}
          </Link>
          <NodeStatusMark status={node.status} />
        </div>
        <p className={classes['stands']} title={stands}>
          {stands}
        </p>
        <p className={classes['facts']}>
          {node.imageTitle} · {node.cpus} {node.cpus === 1 ? 'CPU' : 'CPUs'} · {formatMemory(node.memoryMib)}
          {staff && ` · ${node.ownerLogin}`}
        </p>
      </div>
      <div className={classes['actions']}>
        <PrimaryAction node={node} />
        <NodeMenu node={node} />
      </div>
    </li>
  )
}
