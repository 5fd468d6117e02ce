import '@xterm/xterm/css/xterm.css'
import { type Ref, useEffect, useEffectEvent, useImperativeHandle, useState } from 'react'
import type { ConsoleViewProps, SerialHandle } from './console-view.js'
import { download, fileName } from '../util/download.js'
import { isReleaseChord } from './release-chord.js'
import classes from './SerialConsole.module.css'
import { attachSerial, type SerialSession } from './serial-session.js'
import { SerialSearch } from './SerialSearch.js'
import { useConsoleSettings } from './settings.js'
import { copySelection, isCopyKey, isFindKey, isPasteKey } from './terminal-clipboard.js'
import { skippedNote, TERMINAL_EASED, TERMINAL_RESET } from './terminal-notes.js'
import { TerminalMenu } from './TerminalMenu.js'
import type { SerialTerminal } from './terminal.js'
import { useConnection } from './use-connection.js'
import { useTerminal } from './use-terminal.js'

export interface SerialConsoleProps extends ConsoleViewProps {
  /** An SSH session speaks the same way, and is one's own from its first line on. */
  kind: 'serial' | 'ssh'
  /** What the line said last, for a node that does not run. */
  lastOutput: ((nodeId: string, signal: AbortSignal) => Promise<string>) | undefined
  ref?: Ref<SerialHandle>
}

/** A node's serial line, or a shell on it over SSH, in an xterm. Loaded when it is needed. */
export default function SerialConsole({ ref, ...props }: SerialConsoleProps) {
  const { nodeId, mode, kind, wanted, nodeName } = props
  const [host, setHost] = useState<HTMLElement | null>(null)
  const [session, setSession] = useState<SerialSession>()
  const [searching, setSearching] = useState(false)
  const terminal = useTerminal(host, useConsoleSettings())

  useConnection({
    key: terminal && `${nodeId} ${mode}`,
    wanted,
    openTicket: props.openTicket,
    openSocket: props.openSocket,
    onState: props.onConnection,
    attach(socket, live) {
      if (!terminal) return () => {} // there is one whenever there is a key
      const attached = attach(socket, terminal, {
        ...props,
        onHello() {
          if (kind === 'ssh') terminal.xterm.write(TERMINAL_EASED) // the one before may have ended in an editor
          live()
        },
      })
      setSession(attached)
      return () => {
        attached.detach()
        setSession(undefined)
      }
    },
  })
  useKeyboard(terminal, session, { ...props, onFind: () => setSearching(true) })
  useLastOutput(terminal, props)

  useImperativeHandle<SerialHandle, SerialHandle>(
    ref,
    () => ({
      kind,
      focus: () => terminal?.xterm.focus(),
      takeControl() {
        session?.tell({ type: 'take-control' })
        terminal?.xterm.focus()
      },
      releaseControl: () => session?.tell({ type: 'release-control' }),
      sendSize() {
        if (terminal) session?.type(sizeCommand(terminal))
        terminal?.xterm.focus()
      },
      find: () => setSearching(true),
      save(how) {
        if (!terminal) return
        const content = new Blob([terminal.transcript(how)], { type: 'text/plain;charset=utf-8' })
        download(fileName(nodeName, kind, how === 'text' ? 'txt' : 'ansi'), content)
      },
    }),
    [terminal, session, kind, nodeName],
  )

  return (
    <div className={classes['serial']}>
      <TerminalMenu terminal={terminal} mayType={mode === 'control'} onFind={() => setSearching(true)}>
        <div ref={setHost} className={classes['terminal']} data-testid="terminal" />
      </TerminalMenu>
      {searching && terminal && <SerialSearch terminal={terminal} onClose={() => setSearching(false)} />}
    </div>
  )
}

/** Begins a session on a new socket: draws what comes, tells the terminal's size. */
function attach(
  socket: WebSocket,
  { xterm }: SerialTerminal,
  events: Pick<ConsoleViewProps, 'onViewers'> & { onHello: () => void },
): SerialSession {
  let selfId = ''
  const session = attachSerial(
    socket,
    { write: (bytes, drawn) => xterm.write(bytes, drawn) },
    {
      onHello(viewerId) {
        selfId = viewerId
        session.tell({ type: 'resize', columns: xterm.cols, rows: xterm.rows })
        events.onHello()
      },
      onViewers: (viewers) => events.onViewers(viewers, selfId),
      onSkipped: (bytes) => xterm.write(skippedNote(bytes)),
    },
  )
  return session
}

/** Sends keys, pastes and sizes; keeps the page's own chords from the guest. */
function useKeyboard(
  terminal: SerialTerminal | undefined,
  session: SerialSession | undefined,
  events: Pick<ConsoleViewProps, 'onIdleKey' | 'onRelease'> & { onFind: () => void },
): void {
  const onIdleKey = useEffectEvent(events.onIdleKey)
  const onRelease = useEffectEvent(events.onRelease)
  const onFind = useEffectEvent(events.onFind)

  useEffect(() => {
    if (!terminal) return undefined
    const { xterm } = terminal
    const encoder = new TextEncoder()
    const subscriptions = [
      xterm.onData((text) => session?.type(encoder.encode(text))),
      xterm.onBinary((text) => session?.type(Uint8Array.from(text, (letter) => letter.charCodeAt(0)))),
      xterm.onKey(() => {
        if (session && !session.isWriter) onIdleKey()
      }),
      xterm.onResize(({ cols, rows }) => session?.tell({ type: 'resize', columns: cols, rows })),
    ]
    xterm.attachCustomKeyEventHandler((event) => {
      if (isReleaseChord(event)) {
        xterm.blur()
        onRelease()
        return false
      }
      if (isPasteKey(event)) return false // the browser pastes by itself, also where it lends nobody its clipboard
      if (!isCopyKey(event) && !isFindKey(event)) return true
      event.preventDefault()
      if (event.type === 'keydown' && isCopyKey(event)) copySelection(xterm)
      if (event.type === 'keydown' && isFindKey(event)) onFind()
      return false
    })
    return () => {
      for (const subscription of subscriptions) subscription.dispose()
    }
  }, [terminal, session])
}

/** A node that does not run still shows what it said last. */
function useLastOutput(terminal: SerialTerminal | undefined, props: SerialConsoleProps): void {
  const { nodeId, wanted } = props
  const lastOutput = useEffectEvent(
    async (id: string, signal: AbortSignal) => (await props.lastOutput?.(id, signal)) ?? '',
  )
  useEffect(() => {
    if (!terminal || wanted) return undefined
    const asking = new AbortController()
    lastOutput(nodeId, asking.signal).then(
      (text) => terminal.xterm.write(TERMINAL_RESET + text),
      () => {}, // the pane says that the node is stopped; without its last lines it says only that
    )
    return () => asking.abort()
  }, [terminal, wanted, nodeId])
}

function sizeCommand({ xterm }: SerialTerminal): Uint8Array {
  return new TextEncoder().encode(`stty cols ${xterm.cols} rows ${xterm.rows}\r`)
}
