import { MEMORY_KEPT_ASIDE, type NodeView } from '@domain/node.js'
import { Notice } from '../../components/Notice.js'
import classes from './NodeTrouble.module.css'

/** When something is wrong with the node: what, what is safe, what to do. Nothing when all is well. */
export function NodeTrouble({ node }: { node: NodeView }) {
  switch (node.status) {
    case 'crashed':
      return (
        <Notice tone="bad" title="The node crashed">
          <p>{node.statusReason ?? node.lastExit?.reason}</p>
          <SerialTail lines={node.lastExit?.serialTail ?? []} />
          <p>Its disk is as it was last written. Start it again; if it crashes again, look at the last lines above.</p>
        </Notice>
      )
    case 'broken':
      return (
        <Notice tone="bad" title="The node’s storage is not as recorded">
          <p>{node.statusReason}</p>
          <p>
            Nothing was changed, and other nodes are not affected. Once the file is back or mended, press Start: it
            looks again.
          </p>
        </Notice>
      )
    case 'unknown':
      return (
        <Notice tone="warn" title="Its host does not answer">
          <p>{node.statusReason}</p>
          <p>It may well be running. SandLabX does nothing with it until its host answers.</p>
        </Notice>
      )
    case 'paused':
      return node.statusReason ? (
        <Notice tone="warn" title="The node is paused">
          <p>{node.statusReason}</p>
          <p>Its memory is kept. When the cause is gone it can go on; Stop ends it.</p>
        </Notice>
      ) : null
    case 'suspended':
      return (
        <Notice tone="info" title="The node is suspended">
          <p>
            Its memory is on the disk: Resume, and it goes on at the same screen.
            {node.suspended?.why === 'stop' && ' SandLabX was told to end, and lets it go on when it starts.'}
          </p>
        </Notice>
      )
    case 'running':
      return node.lastExit?.reason.startsWith(MEMORY_KEPT_ASIDE) ? (
        <Notice tone="warn" title="It did not go on where it was">
          <p>{node.lastExit.reason}</p>
          <p>What its guest had written to its disk is there, as after a power cut.</p>
        </Notice>
      ) : null
    default:
      return null
  }
}

const SHOWN_LINES = 12

function SerialTail({ lines }: { lines: readonly string[] }) {
  if (lines.length === 0) return null
  return (
    <pre className={classes['tail']} aria-label="Last serial lines">
      {lines.slice(-SHOWN_LINES).join('\n')}
    </pre>
  )
}
