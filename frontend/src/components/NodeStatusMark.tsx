import type { NodeStatus } from '@domain/node.js'
import { Mark } from './Mark.js'
import classes from './Mark.module.css'
import { NODE_STATUS } from './node-status.js'

/** What a node is doing: sign and word. */
export function NodeStatusMark({ status }: { status: NodeStatus }) {
  const { word, tone, shape } = NODE_STATUS[status]
  return (
    <span className={classes['status']}>
      <Mark shape={shape} tone={tone} turning={shape === 'half'} />
      <span className={classes['word']} data-tone={tone}>
        {word}
      </span>
    </span>
  )
}
