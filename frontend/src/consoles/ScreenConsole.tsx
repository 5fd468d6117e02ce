import type { ScreenEngine, SerialServerMessage } from '@domain/console.js'
import { type Ref, useEffect, useEffectEvent, useImperativeHandle, useRef, useState } from 'react'
import type { ConsoleViewProps, ScreenHandle } from './console-view.js'
import { download, fileName } from '../util/download.js'
import { isReleaseChord } from './release-chord.js'
import type { OpenScreenDisplay, ScreenDisplay } from './screen-display.js'
import classes from './ScreenConsole.module.css'
import { useConsoleSettings } from './settings.js'
import { useConnection } from './use-connection.js'

export interface ScreenConsoleProps extends ConsoleViewProps {
  ref?: Ref<ScreenHandle>
}

/** Each is loaded when a ticket says that it is needed. */
const ENGINES: Record<ScreenEngine, () => Promise<OpenScreenDisplay>> = {
  direct: async () => (await import('./novnc-display.js')).openNoVncDisplay,
  guacamole: async () => (await import('./guacamole-display.js')).openGuacamoleDisplay,
}

interface Shown {
  display: ScreenDisplay
  tell: (type: 'take-control' | 'release-control') => void
}

/** A node's screen, over the engine that the server's ticket names. Loaded when it is needed. */
export default function ScreenConsole({ ref, ...props }: ScreenConsoleProps) {
  const { nodeId, nodeName, mode, wanted, wantedEngine } = props
  const [target, setTarget] = useState<HTMLElement | null>(null)
  const [kept, setKept] = useState<HTMLCanvasElement | null>(null)
  const [shown, setShown] = useState<Shown>()
  const [isWriter, setWriter] = useState(false)
  const [engine, setEngine] = useState<ScreenEngine>()
  /** What the newest ticket needs; read before the page is drawn again. */
  const opener = useRef<OpenScreenDisplay>(undefined)
  /** Grows when there is a better engine than the one that was given last. */
  const [round, setRound] = useState(0)
  const { fitScreen } = useConsoleSettings()

  useConnection({
    key: target && kept ? `${nodeId} ${mode} ${wantedEngine} ${round}` : undefined,
    wanted,
    async openTicket() {
      const ticket = await props.openTicket()
      opener.current = await ENGINES[ticket.engine]()
      setEngine(ticket.engine)
      props.onEngine(ticket.engine, ticket.notice)
      return ticket
    },
    openSocket: props.openSocket,
    onState: props.onConnection,
    attach(socket, live) {
      if (!target || !kept) return () => {} // there are both whenever there is a key
      return attach(socket, live, target, kept)
    },
  })

  function attach(socket: WebSocket, live: () => void, place: HTMLElement, last: HTMLCanvasElement): () => void {
    if (!opener.current) throw new Error('a screen was attached before its engine was there')
    let selfId = ''
    const onMessage = (message: SerialServerMessage) => {
      if (message.type === 'hello') selfId = message.viewerId
      if (message.type === 'guacamole' && message.answers && wantedEngine !== 'direct') setRound((one) => one + 1)
      if (message.type !== 'viewers') return
      const mayType = message.viewers.some(({ id, writer }) => id === selfId && writer)
      display.mayType(mayType)
      setWriter(mayType)
      props.onViewers(message.viewers, selfId)
    }
    const display = opener.current({ socket, target: place, fit: fitScreen, onLive: live, onMessage, onCopied })
    setShown({ display, tell: (type) => socket.readyState === socket.OPEN && socket.send(JSON.stringify({ type })) })
    return () => {
      const picture = display.picture()
      if (picture) keep(picture, last)
      display.end()
      setShown(undefined)
      setWriter(false)
    }
  }

  useEffect(() => shown?.display.fit(fitScreen), [shown, fitScreen])
  useKeys(target, isWriter, props)

  useImperativeHandle<ScreenHandle, ScreenHandle>(
    ref,
    () => ({
      kind: 'screen',
      focus: () => shown?.display.focus(),
      takeControl: () => shown?.tell('take-control'),
      releaseControl: () => shown?.tell('release-control'),
      savePicture() {
        const picture = shown?.display.picture() ?? kept
        picture?.toBlob((blob) => blob && download(fileName(nodeName, 'screen', 'png'), blob))
      },
    }),
    [shown, kept, nodeName],
  )

  return (
    <div className={classes['screen']} data-fit={fitScreen || undefined} data-watching={!isWriter || undefined}>
      <canvas ref={setKept} className={classes['kept']} aria-hidden="true" width={0} height={0} />
      <div
        ref={setTarget}
        className={classes['target']}
        data-testid="screen"
        data-engine={engine}
        data-keys="guest" // a `t` that is typed for the guest, or in vain, is none of the page's shortcuts
        // noVNC's own canvas takes the focus; Guacamole's display has nothing that could.
        tabIndex={engine === 'guacamole' ? 0 : undefined}
        role={engine === 'guacamole' ? 'application' : undefined}
        aria-label={engine === 'guacamole' ? `The screen of ${nodeName}` : undefined}
      />
    </div>
  )
}

/** Into the person's clipboard, where the browser lets a page do so. */
function onCopied(text: string): void {
  navigator.clipboard?.writeText(text).catch(() => undefined) // not allowed just now: nothing was promised
}

function keep(picture: HTMLCanvasElement, kept: HTMLCanvasElement): void {
  if (picture.width === 0 || picture.height === 0) return
  // The engine's own canvas, copied before it goes with the connection.
  Object.assign(kept, { width: picture.width, height: picture.height })
  kept.getContext('2d')?.drawImage(picture, 0, 0)
}

/** Keeps the release chord from the guest, and notices keys that are pressed in vain. */
function useKeys(element: HTMLElement | null, isWriter: boolean, props: ConsoleViewProps): void {
  const onRelease = useEffectEvent(props.onRelease)
  const onIdleKey = useEffectEvent(props.onIdleKey)
  const isIdle = useEffectEvent(() => !isWriter)

  useEffect(() => {
    if (!element) return undefined
    const onKeyDown = (event: KeyboardEvent) => {
      if (isIdle()) onIdleKey()
      if (!isReleaseChord(event)) return
      event.stopImmediatePropagation()
      event.preventDefault()
      if (document.activeElement instanceof HTMLElement) document.activeElement.blur() // the engine then lets all keys go
      onRelease()
    }
    element.addEventListener('keydown', onKeyDown, { capture: true })
    return () => element.removeEventListener('keydown', onKeyDown, { capture: true })
  }, [element])
}
