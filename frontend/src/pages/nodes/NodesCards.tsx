import type { NodeView } from '@domain/node.js'
import { NodeCard } from './NodeCard.js'
import classes from './NodesCards.module.css'
import { ShowMore } from './ShowMore.js'
import type { ListFocus } from './use-list-keys.js'
import type { Selection } from './use-selection.js'
import { useShown } from './use-shown.js'

const PAGE = 48

interface Props {
  nodes: readonly NodeView[]
  staff: boolean
  selection: Selection
  list: ListFocus
}

/** One card a node, with its screen. */
export function NodesCards({ nodes, staff, selection, list }: Props) {
  const shown = useShown(PAGE)
  return (
    <>
      <ul className={classes['grid']} aria-label="Nodes">
        {nodes.slice(0, shown.now).map((node) => (
          <NodeCard
            key={node.id}
            node={node}
            staff={staff}
            selected={selection.has(node.id)}
            selecting={selection.nodes.length > 0}
            onSelect={() => selection.toggle(node.id)}
            row={list.row(node.id)}
          />
        ))}
      </ul>
      <ShowMore shown={shown.limit} total={nodes.length} onMore={shown.more} />
    </>
  )
}
