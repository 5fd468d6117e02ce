import type { NodeView } from '@domain/node.js'
import { useInViewport } from '@mantine/hooks'
import { IconTerminal2 } from '@tabler/icons-react'
import { lastScreenPath, screenshotPath } from '../api/nodes.js'
import { useNow } from '../util/use-now.js'
import classes from './NodeScreen.module.css'
import { usePicture } from './use-picture.js'

interface Props {
  node: NodeView
  size: 'thumb' | 'card' | 'large'
}

const REFRESH_MS = { thumb: 20_000, card: 10_000, large: 4000 } as const

/** The node's screen: live and gently refreshed while it runs and is in view, else the last one seen, dimmed. */
export function NodeScreen({ node, size }: Props) {
  const { ref, inViewport } = useInViewport<HTMLDivElement>()
  const live = node.status === 'running' || node.status === 'paused' || node.status === 'stopping'
  return (
    <div ref={ref} className={classes['screen']} data-size={size} data-live={live || undefined}>
      {live && inViewport && <LivePicture node={node} everyMs={REFRESH_MS[size]} />}
      {!live && node.lastExit && <LastPicture node={node} endedAt={node.lastExit.at} />}
      {!live && !node.lastExit && <Blank />}
      {!live && !node.lastExit && size === 'large' && <p className={classes['none']}>No picture of its screen yet</p>}
    </div>
  )
}

function LivePicture({ node, everyMs }: { node: NodeView; everyMs: number }) {
  const tick = useNow(everyMs)
  return <Picture url={usePicture(screenshotPath(node.id), tick)} alt={`Screen of ${node.name}`} />
}

function LastPicture({ node, endedAt }: { node: NodeView; endedAt: string }) {
  return <Picture url={usePicture(lastScreenPath(node.id), endedAt)} alt={`Last screen of ${node.name}`} />
}

function Picture({ url, alt }: { url: string | null; alt: string }) {
  return url ? <img src={url} alt={alt} draggable={false} /> : <Blank />
}

function Blank() {
  return <IconTerminal2 className={classes['blank']} stroke={1.25} aria-hidden />
}
