import { getRouteApi } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { useImages } from '../../api/images.js'
import { useNode } from '../../api/nodes.js'
import { CopyButton } from '../../components/CopyButton.js'
import { formatSize } from '../../util/size.js'
import classes from './DiskTab.module.css'
import { UsageBar } from './UsageBar.js'

const route = getRouteApi('/nodes/$nodeId')

/** The chain of files that is the node's disk, drawn as it is read: the node's own changes over the shared image. */
export function DiskTab() {
  const { nodeId } = route.useParams()
  const { data: node } = useNode(nodeId)
  const images = useImages()
  if (!node) return null
  const image = images.data?.images.find((one) => one.id === node.image)
  return (
    <div className={classes['page']}>
      <p className={classes['lead']}>
        The guest sees one disk of {formatSize(node.diskBytes)}. What it has changed is read from the overlay,
        everything else from the base image below.
      </p>
      <ol className={classes['chain']}>
        <Layer kind="overlay" title="Overlay" note="This node’s own. Everything it writes is here.">
          <Path text={node.overlayPath} />
          <UsageBar usedBytes={node.diskUsedBytes} sizeBytes={node.diskBytes} />
        </Layer>
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
      <p className={classes['lead']}>
        To keep the node safe, copy the overlay and the record beside it. Deleting the node keeps both unless you ask
        otherwise.
      </p>
    </div>
  )
}

interface LayerProps {
  kind: 'overlay' | 'base'
  title: string
  note: string
  children: ReactNode
}

function Layer({ kind, title, note, children }: LayerProps) {
  return (
    <li className={classes['layer']} data-kind={kind}>
      <div className={classes['head']}>
        <h2>{title}</h2>
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
      <CopyButton text={text} label="Copy the path" />
    </div>
  )
}
