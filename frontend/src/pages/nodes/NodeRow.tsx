import type { NodeView } from '@domain/node.js'
import { Checkbox } from '@mantine/core'
import { Link } from '@tanstack/react-router'
import { NodeMenu } from '../../components/NodeMenu.js'
import { NodeScreen } from '../../components/NodeScreen.js'
import { NodeStatusMark } from '../../components/NodeStatusMark.js'
import { PrimaryAction } from '../../components/PrimaryAction.js'
import table from '../../components/Table.module.css'
import { formatMemory, formatSize } from '../../util/size.js'
import { useNow } from '../../util/use-now.js'
import { whereItStands } from '../../util/where-it-stands.js'
import classes from './NodesTable.module.css'
import type { ListFocus } from './use-list-keys.js'

interface Props {
  node: NodeView
  staff: boolean
  selected: boolean
  onSelect: () => void
  row: ReturnType<ListFocus['row']>
}

export function NodeRow({ node, staff, selected, onSelect, row }: Props) {
  return (
    <tr {...row} className={classes['row']} data-selected={selected || undefined} aria-label={node.name}>
      <td className={classes['check']}>
        <Checkbox size="xs" aria-label={`Select ${node.name}`} checked={selected} onChange={onSelect} />
      </td>
      <td>
        <Link to="/nodes/$nodeId" params={{ nodeId: node.id }} className={classes['name']}>
          {node.name}
        </Link>
      </td>
      <td>
        <NodeStatusMark status={node.status} />
      </td>
      <td data-column="stands">
        <Stands node={node} />
      </td>
      <td className={classes['screen']}>
        <NodeScreen node={node} size="thumb" />
      </td>
      <td data-column="image">{node.imageTitle}</td>
      {staff && (
        <td data-column="owner" className={table['soft']}>
          {node.ownerLogin}
        </td>
      )}
      <td className={`${table['nowrap']} ${classes['wide']}`}>
        {node.cpus} · {formatMemory(node.memoryMib)}
      </td>
      <td data-column="disk" className={table['number']}>
        {node.diskUsedBytes === null ? '–' : formatSize(node.diskUsedBytes)}
      </td>
      <td className={table['end']}>
        <span className={classes['actions']}>
          <PrimaryAction node={node} />
          <NodeMenu node={node} />
        </span>
      </td>
    </tr>
  )
}

function Stands({ node }: { node: NodeView }) {
  const text = whereItStands(node, useNow(5000))
  return (
    <span className={classes['stands']} title={text}>
      {text}
    </span>
  )
}
