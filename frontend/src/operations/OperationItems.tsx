import type { Operation, OperationItem } from '@domain/operation.js'
import { Link } from '@tanstack/react-router'
import { Mark } from '../components/Mark.js'
import { Words } from '../components/Words.js'
import { ITEM_STATES } from './faces.js'
import classes from './OperationItems.module.css'

/** Each thing that a bulk operation works on; what failed comes first, with the reason. */
export function OperationItems({ operation }: { operation: Pick<Operation, 'items' | 'kind'> }) {
  const failed = operation.items.filter((item) => item.error)
  const others = operation.items.filter((item) => !item.error)
  return (
    <div className={classes['items']}>
      {failed.length > 0 && (
        <ul className={classes['failed']} aria-label="Failed">
          {failed.map((item, index) => (
            <li key={`${item.name}-${index}`}>
              <Mark {...faceOf(item)} />
              <span className={classes['name']}>{item.name}</span>
              <span>
                <Words>{[item.error?.message, item.error?.hint].filter(Boolean).join(' ')}</Words>
              </span>
            </li>
          ))}
        </ul>
      )}
      <ul className={classes['grid']} aria-label="Items">
        {others.map((item, index) => (
          <li key={`${item.name}-${index}`} title={`${item.name}: ${ITEM_STATES[item.state].word.toLowerCase()}`}>
            <Mark {...faceOf(item)} turning={item.state === 'running'} />
            <span className="visually-hidden">{ITEM_STATES[item.state].word}: </span>
            {item.id && item.state === 'succeeded' && operation.kind.startsWith('node.') ? (
              <Link to="/nodes/$nodeId" params={{ nodeId: item.id }} className={classes['name']}>
                {item.name}
              </Link>
            ) : (
              <span className={classes['name']} data-off={item.state === 'undone' || undefined}>
                {item.name}
              </span>
            )}
          </li>
        ))}
      </ul>
    </div>
  )
}

function faceOf({ state }: OperationItem) {
  const { tone, shape } = ITEM_STATES[state]
  return { tone, shape }
}
