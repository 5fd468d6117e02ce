import RFB from '@novnc/novnc'
import { type Ref, useEffect, useEffectEvent, useImperativeHandle, useState } from 'react'
import type { ConsoleViewProps, ScreenHandle } from './console-view.js'
import { download, fileName } from '../util/download.js'
import { isReleaseChord } from './release-chord.js'
import { screenChannel } from './rfb-channel.js'
import classes from './ScreenConsole.module.css'
import { useConsoleSettings } from './settings.js'
import { useConnection } from './use-connection.js'

export interface ScreenConsoleProps extends ConsoleViewProps {
  ref?: Ref<ScreenHandle>
}

/** Around the picture. */
const GROUND = '#07090c'

/** A node's screen over noVNC. Loaded when it is needed. */
export default function ScreenConsole({ ref, ...props }: ScreenConsoleProps) {
  const { nodeId, nodeName, mode, wanted } = props
  const [target, setTarget] = useState<HTMLElement | null>(null)
  const [kept, setKept] = useState<HTMLCanvasElement | null>(null)
  const [rfb, setRfb] = useState<RFB>()
  const { fitScreen } = useConsoleSettings()

  useConnection({
    key: target && kept ? `${nodeId} ${mode}` : undefined,
    wanted,
    openTicket: props.openTicket,
    openSocket: props.openSocket,
    onState: props.onConnection,
    attach(socket, live) {
      if (!target || !kept) return () => {} // there are both whenever there is a key
      const attached = attach(socket, target, kept, { ...props, live })
      setRfb(attached.rfb)
      return () => {
        attached.detach()
        setRfb(undefined)
      }
    },
  })
  useEffect(() => {
    if (rfb) Object.assign(rfb, { scaleViewport: fitScreen }) // noVNC's own setter
  }, [rfb, fitScreen])
  useKeys(target, props)

  useImperativeHandle<ScreenHandle, ScreenHandle>(
    ref,
    () => ({
      kind: 'screen',
      focus: () => rfb?.focus(),
      savePicture() {
        const save = (picture: Blob | null) => picture && download(fileName(nodeName, 'screen', 'png'), picture)
        if (rfb) rfb.toBlob(save)
        else kept?.toBlob(save)
      },
    }),
    [rfb, kept, nodeName],
  )

  return (
    <div className={classes['screen']} data-fit={fitScreen || undefined} data-watching={mode === 'view' || undefined}>
      <canvas ref={setKept} className={classes['kept']} aria-hidden="true" width={0} height={0} />
      <div ref={setTarget} className={classes['target']} data-testid="screen" />
    </div>
  )
}

/** Lets noVNC work on a socket until it is detached; then its last picture stays in `kept`. */
function attach(
  socket: WebSocket,
  target: HTMLElement,
  kept: HTMLCanvasElement,
  options: Pick<ConsoleViewProps, 'mode' | 'onViewers'> & { live: () => void },
): { rfb: RFB; detach: () => void } {
  let selfId = ''
  let isConnected = false
  const { channel, end } = screenChannel(socket, (message) => {
    if (message.type === 'hello') selfId = message.viewerId
    if (message.type === 'viewers') options.onViewers(message.viewers, selfId)
  })
  const rfb = new RFB(target, channel, { shared: true })
  rfb.viewOnly = options.mode === 'view'
  rfb.showDotCursor = true
  rfb.background = GROUND
  rfb.addEventListener('connect', () => {
    isConnected = true
    options.live()
  })
  return {
    rfb,
    detach() {
      const picture = target.querySelector('canvas')
      if (isConnected && picture) keep(picture, kept)
      rfb.disconnect()
      end()
    },
  }
}

function keep(picture: HTMLCanvasElement, kept: HTMLCanvasElement): void {
  if (picture.width === 0 || picture.height === 0) return
  // noVNC's own canvas, copied before it goes with the connection.
  Object.assign(kept, { width: picture.width, height: picture.height })
  kept.getContext('2d')?.drawImage(picture, 0, 0)
}

/** Keeps the release chord from the guest, and notices keys that a watcher presses in vain. */
function useKeys(element: HTMLElement | null, props: ConsoleViewProps): void {
  const onRelease = useEffectEvent(props.onRelease)
  const onIdleKey = useEffectEvent(props.onIdleKey)
  const isWatching = useEffectEvent(() => props.mode === 'view')

  useEffect(() => {
    if (!element) return undefined
    const onKeyDown = (event: KeyboardEvent) => {
      if (isWatching()) onIdleKey()
      if (!isReleaseChord(event)) return
      event.stopImmediatePropagation()
      event.preventDefault()
      if (document.activeElement instanceof HTMLElement) document.activeElement.blur() // noVNC then lets all keys go
      onRelease()
    }
    element.addEventListener('keydown', onKeyDown, { capture: true })
    return () => element.removeEventListener('keydown', onKeyDown, { capture: true })
  }, [element])
}
