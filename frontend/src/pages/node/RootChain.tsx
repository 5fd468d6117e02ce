import type { NodeView } from '@domain/node.js'
import { rootLayerOf, type SnapshotView } from '@domain/snapshot.js'
import type { ReactNode } from 'react'
import { useSnapshots } from '../../api/disks.js'
import { useImages } from '../../api/images.js'
import { CopyButton } from '../../components/CopyButton.js'
import { formatSize } from '../../util/size.js'
import classes from './DisksTab.module.css'
import { UsageBar } from './UsageBar.js'

/** The chain of files that is the root disk, drawn as it is read: the node's own changes, snapshots, the shared image. */
export function RootChain({ node }: { node: NodeView }) {
  const images = useImages()
  const snapshots = useSnapshots(node.id)
  const image = images.data?.images.find((one) => one.id === node.image)
  const under = ancestry(snapshots.data ?? [])
  return (
    <section className={classes['chainSection']} aria-labelledby="root-chain">
      <h2 id="root-chain">How the root disk is read</h2>
      <p className={classes['lead']}>
        The guest sees one disk of {formatSize(node.diskBytes)}. What it has changed is read from the overlay,
        everything else from {under.length > 0 ? 'the layers' : 'the base image'} below.
      </p>
      <ol className={classes['chain']}>
        <Layer kind="overlay" title="Overlay" note="This node’s own. Everything it writes is here.">
          <Path text={node.overlayPath} />
          <UsageBar usedBytes={node.diskUsedBytes} sizeBytes={node.diskBytes} />
        </Layer>
        {under.map((snapshot) => (
          <Layer
            key={snapshot.id}
            kind="layer"
            title={`Snapshot ${snapshot.name}`}
            note="Frozen: the disk as it was then. Read only, never changes."
          >
            <Path text={`/overlays/layer_${rootLayerOf(snapshot) ?? ''}.qcow2`} />
            <p className={classes['facts']}>{formatSize(snapshot.usedBytes)} on the server</p>
          </Layer>
        ))}
        <Layer kind="base" title={node.imageTitle} note="Base image. Shared by nodes, read only, never changes.">
          <Path text={`/images/${image?.file ?? `${node.image}.qcow2`}`} />
          {image && (
            <p className={classes['facts']}>
              {formatSize(image.fingerprint.sizeBytes)} on the server · {formatSize(image.virtualSizeBytes)} virtual ·{' '}
              <span title={image.fingerprint.sha256}>
                sha256 <code>{image.fingerprint.sha256.slice(0, 12)}…</code>
              </span>
            </p>
          )}
        </Layer>
      </ol>
    </section>
  )
}

/** The snapshots under the disk, nearest first. */
export function ancestry(snapshots: readonly SnapshotView[]): SnapshotView[] {
  const found: SnapshotView[] = []
  let next = snapshots.find(({ current }) => current)
  while (next && !found.includes(next)) {
    if (rootLayerOf(next) !== null) found.push(next)
    const { parentId } = next
    next = snapshots.find(({ id }) => id === parentId)
  }
  return found
}

interface LayerProps {
  kind: 'overlay' | 'layer' | 'base'
  title: string
  note: string
  children: ReactNode
}

function Layer({ kind, title, note, children }: LayerProps) {
  return (
    <li className={classes['layer']} data-kind={kind}>
      <div className={classes['title']}>
        <h3>{title}</h3>
        <p>{note}</p>
      </div>
      {children}
    </li>
  )
}

function Path({ text }: { text: string }) {
  return (
    <div className={classes['path']}>
      <code>{text}</code>
      <CopyButton text={text} label={`Copy ${text.split('/').at(-1) ?? 'the path'}`} />
    </div>
  )
}
