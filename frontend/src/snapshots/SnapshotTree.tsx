import type { NodeView } from '@domain/node.js'
import type { SnapshotView } from '@domain/snapshot.js'
import { lazy, Suspense, useState } from 'react'
import { NodeStatusMark } from '../components/NodeStatusMark.js'
import { formatSize } from '../util/size.js'
import { type GraphRow, laneCount, snapshotGraph } from './snapshot-graph.js'
import { SnapshotRow } from './SnapshotRow.js'
import classes from './SnapshotTree.module.css'

const RestoreSnapshotDialog = lazy(async () => ({
  default: (await import('./SnapshotDialogs.js')).RestoreSnapshotDialog,
}))
const DeleteSnapshotDialog = lazy(async () => ({
  default: (await import('./SnapshotDialogs.js')).DeleteSnapshotDialog,
}))
const EditSnapshotDialog = lazy(async () => ({ default: (await import('./EditSnapshotDialog.js')).EditSnapshotDialog }))
const TestBootDialog = lazy(async () => ({ default: (await import('../test-boot/TestBootDialog.js')).TestBootDialog }))

export interface AskingSnapshot {
  what: 'restore' | 'delete' | 'edit' | 'boot'
  snapshot: SnapshotView
}

const LANE = 20
const MIDDLE = 22

/** The snapshots as a tree, from where the node is now down to the base image. */
export function SnapshotTree({ node, snapshots }: { node: NodeView; snapshots: readonly SnapshotView[] }) {
  const [asking, setAsking] = useState<AskingSnapshot | null>(null)
  const close = () => setAsking(null)
  const rows = snapshotGraph(snapshots)
  const width = laneCount(rows) * LANE
  return (
    <>
      <ol className={classes['tree']} aria-label="Snapshots, newest first">
        {rows.map((row) => (
          <li
            key={row.kind === 'snapshot' ? row.snapshot.id : row.kind}
            className={classes['row']}
            data-kind={row.kind}
          >
            <Graph row={row} width={width} />
            {row.kind === 'here' && <Here node={node} />}
            {row.kind === 'snapshot' && (
              <SnapshotRow node={node} snapshot={row.snapshot} snapshots={snapshots} onAsk={setAsking} />
            )}
            {row.kind === 'base' && <Base node={node} />}
          </li>
        ))}
      </ol>
      <Suspense>
        {asking?.what === 'restore' && <RestoreSnapshotDialog node={node} snapshot={asking.snapshot} onClose={close} />}
        {asking?.what === 'delete' && <DeleteSnapshotDialog node={node} snapshot={asking.snapshot} onClose={close} />}
        {asking?.what === 'edit' && (
          <EditSnapshotDialog node={node} snapshot={asking.snapshot} snapshots={snapshots} onClose={close} />
        )}
        {asking?.what === 'boot' && (
          <TestBootDialog
            name={`snapshot ${asking.snapshot.name}`}
            of={{ snapshotId: asking.snapshot.id }}
            onClose={close}
          />
        )}
      </Suspense>
    </>
  )
}

/** The stretch of lines beside one row. */
function Graph({ row, width }: { row: GraphRow; width: number }) {
  const x = (lane: number) => lane * LANE + LANE / 2
  return (
    <div className={classes['graph']} style={{ width }}>
      <svg width={width} height="100%" aria-hidden="true">
        {row.through.map((lane) => (
          <line key={`t${lane}`} x1={x(lane)} x2={x(lane)} y1="0" y2="100%" />
        ))}
        {row.joins.map((lane) => (
          <path key={`j${lane}`} d={`M${x(lane)} 0 C${x(lane)} ${MIDDLE} ${x(row.lane)} 4 ${x(row.lane)} ${MIDDLE}`} />
        ))}
        {row.fromAbove && <line x1={x(row.lane)} x2={x(row.lane)} y1="0" y2={MIDDLE} />}
        {row.goesOn && <line x1={x(row.lane)} x2={x(row.lane)} y1={MIDDLE} y2="100%" />}
        <circle cx={x(row.lane)} cy={MIDDLE} r={row.kind === 'here' ? 6 : 5} data-kind={row.kind} />
      </svg>
    </div>
  )
}

function Here({ node }: { node: NodeView }) {
  return (
    <div className={classes['end']}>
      <strong>You are here</strong>
      <NodeStatusMark status={node.status} />
      {node.diskUsedBytes !== null && (
        <span className={classes['soft']}>{formatSize(node.diskUsedBytes)} written since the last snapshot</span>
      )}
    </div>
  )
}

function Base({ node }: { node: NodeView }) {
  return (
    <div className={classes['end']}>
      <strong>{node.imageTitle}</strong>
      <span className={classes['soft']}>the base image</span>
    </div>
  )
}
