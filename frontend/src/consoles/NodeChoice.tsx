import type { NodeView } from '@domain/node.js'
import { Mark } from '../components/Mark.js'
import { NODE_STATUS } from '../components/node-status.js'
import dark from './console-dark.module.css'
import classes from './ConsoleWorkspace.module.css'
import type { ConsoleLayout, ConsoleTab } from './layout.js'

interface Props {
  nodes: readonly NodeView[] | undefined
  layout: ConsoleLayout
  onChoose: (tab: ConsoleTab) => void
}

const SHOWN = 12

/** An empty pane offers the nodes whose console is not seen yet, running ones first. */
export function NodeChoice({ nodes, layout, onChoose }: Props) {
  if (!nodes) return <div className={`${dark['dark']} ${classes['missing']}`}>Looking for your nodes …</div>
  const seen = new Set(layout.shown.map((at) => (at === null ? undefined : layout.tabs[at]?.nodeId)))
  const offered = nodes
    .filter(({ id }) => !seen.has(id))
    .toSorted((a, b) => Number(b.status === 'running') - Number(a.status === 'running') || a.name.localeCompare(b.name))
  if (offered.length === 0) {
    return (
      <div className={`${dark['dark']} ${classes['missing']}`}>
        {nodes.length === 0 ? 'There is no node yet.' : 'All nodes are shown.'}
      </div>
    )
  }
  return (
    <div className={`${dark['dark']} ${classes['choice']}`}>
      <p>Which console?</p>
      <ul>
        {offered.slice(0, SHOWN).map((node) => (
          <li key={node.id}>
            <button
              type="button"
              className={classes['plain']}
              onClick={() => onChoose({ nodeId: node.id, kind: 'serial', mode: 'control' })}
            >
              <Mark {...NODE_STATUS[node.status]} />
              <span>{node.name}</span>
              <span className={classes['faint']}>{NODE_STATUS[node.status].word}</span>
            </button>
          </li>
        ))}
      </ul>
      {offered.length > SHOWN && <p className={classes['faint']}>{offered.length - SHOWN} more are under “+”.</p>}
    </div>
  )
}
