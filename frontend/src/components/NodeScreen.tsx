import type { NodeView } from '@domain/node.js'
import { useInViewport } from '@mantine/hooks'
import { IconTerminal2 } from '@tabler/icons-react'
import { useState } from 'react'
import { lastScreenUrl, screenshotUrl } from '../api/nodes.js'
import { useNow } from '../util/use-now.js'
import classes from './NodeScreen.module.css'

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
      {!live && node.lastExit && (
        <Picture
          key={node.lastExit.at}
          src={lastScreenUrl(node.id, node.lastExit.at)}
          alt={`Last screen of ${node.name}`}
        />
      )}
      {!live && !node.lastExit && <Blank />}
    </div>
  )
}

function LivePicture({ node, everyMs }: { node: NodeView; everyMs: number }) {
  return <Picture src={screenshotUrl(node.id, useNow(everyMs))} alt={`Screen of ${node.name}`} />
}

/** The browser keeps the picture that is there until the next one has come. */
function Picture({ src, alt }: { src: string; alt: string }) {
  const [missing, setMissing] = useState<string>()
  return (
    <>
      {missing === src && <Blank />}
      <img
        src={src}
        alt={alt}
        hidden={missing === src}
        decoding="async"
        draggable={false}
        onError={() => setMissing(src)}
        onLoad={() => setMissing(undefined)}
      />
    </>
  )
}

function Blank() {
  return <IconTerminal2 className={classes['blank']} stroke={1.25} aria-hidden />
}
