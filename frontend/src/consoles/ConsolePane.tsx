import type { ConsoleKind, ConsoleMode } from '@domain/console.js'
import type { NodeView } from '@domain/node.js'
import { lazy, type ReactNode, type RefObject, Suspense, useEffect, useEffectEvent, useRef, useState } from 'react'
import { ConsoleBar } from './ConsoleBar.js'
import type { ConsoleApi } from './console-api.js'
import dark from './console-dark.module.css'
import { ConsoleHelp } from './ConsoleHelp.js'
import classes from './ConsolePane.module.css'
import { type ConsoleHandle, type ConsoleViewProps, KIND_WORDS } from './console-view.js'
import { OverlayTargetProvider } from './overlay-target.js'
import { watchRecording } from './recording-sign.js'
import { TypeTextDialog } from './TypeTextDialog.js'
import { useBeforeUnload } from './use-before-unload.js'
import { useConsoleSettings } from './settings.js'
import { useFullScreen } from './use-full-screen.js'
import { NO_ONE, type PaneState, usePaneState } from './use-pane-state.js'
import { Veil } from './Veil.js'

const SerialConsole = lazy(() => import('./SerialConsole.js'))
const ScreenConsole = lazy(() => import('./ScreenConsole.js'))

export interface ConsolePaneProps {
  node: NodeView
  kind: ConsoleKind
  mode: ConsoleMode
  api: ConsoleApi
  /** Asks for the node to be started. `pending`: it was asked and not answered yet. */
  onStart: (node: NodeView) => void
  startPending?: boolean
  /** Absent: the kind can't be switched here. */
  onKindChange?: (kind: ConsoleKind) => void
  /** Absent: no choice between typing and only watching. */
  onModeChange?: (mode: ConsoleMode) => void
  /** The page's line to the server is down: what it says about the node may be old. */
  stale?: boolean
  /** This pane has the page's attention: its console takes the keyboard when it comes live. */
  active?: boolean
  /** Instead of the node's name, a link to it; null where its name and status stand right above. */
  title?: ReactNode
  /** The session has ended; without it the page is loaded again. */
  onSignIn?: () => void
  /** Something could not be done: keys that were not sent. */
  onError?: (what: string, error: unknown) => void
}

/** One console with its bar. Needs a parent with a height. */
export function ConsolePane(props: ConsolePaneProps) {
  const { node, kind, api, stale = false, active = true } = props
  const mode = kind === 'ssh' ? 'control' : props.mode // nobody looks on at another's own shell
  const pane = useRef<HTMLElement>(null)
  const bar = useRef<HTMLDivElement>(null)
  const [handle, setHandle] = useState<ConsoleHandle | null>(null)
  const [overlays, setOverlays] = useState<HTMLElement | null>(null)
  const [dialog, setDialog] = useState<'type' | 'help' | null>(null)
  const [hasKeyboard, setKeyboard] = useState(false)
  const [typing, setTyping] = useState(false)
  const [state, { onRecording, ...events }] = usePaneState(`${node.id} ${kind} ${mode}`)
  const fullScreen = useFullScreen(pane)
  const { engine: wantedEngine } = useConsoleSettings()
  const wanted = node.actions.console === null && !(kind === 'ssh' && node.sshRefusal)
  const isLive = state.connection.phase === 'live'
  const people = wanted && isLive ? state : NO_ONE
  useNudge(node.status === 'running', state)
  useKeyboardWhenLive(pane, handle, active && isLive)
  useBeforeUnload(hasKeyboard && isLive && mode === 'control')

  const view: ConsoleViewProps = {
    ...events,
    nodeId: node.id,
    nodeName: node.name,
    mode,
    wantedEngine,
    wanted,
    openTicket: () => api.openTicket(node.id, kind, mode, wantedEngine),
    openSocket: (ticket) => watchRecording(new WebSocket(api.socketUrl(ticket)), onRecording),
    onRelease: () => bar.current?.querySelector('button')?.focus(),
  }

  return (
    <section
      ref={pane}
      className={classes['pane']}
      aria-label={`${node.name}, ${KIND_WORDS[kind]}`}
      data-connection={wanted ? state.connection.phase : 'off'}
      data-typing={typing || undefined}
      onPointerMove={() => setTyping(false)}
      onKeyDownCapture={() => setTyping(hasKeyboard)}
    >
      <OverlayTargetProvider value={(fullScreen.isFull && overlays) || undefined}>
        <div className={`${dark['dark']} ${classes['body']}`}>
          <div className={classes['bar']}>
            <ConsoleBar
              ref={bar}
              {...{ node, kind, mode, stale, handle, isLive, hasKeyboard, fullScreen }}
              title={props.title === undefined ? node.name : props.title}
              viewers={people.viewers}
              selfId={people.selfId}
              engine={state.engine}
              notice={state.notice}
              idleKeys={state.idleKeys}
              recording={wanted && isLive ? state.recording : null}
              onKindChange={props.onKindChange}
              onModeChange={kind === 'ssh' ? undefined : props.onModeChange}
              onTypeText={() => setDialog('type')}
              onHelp={() => setDialog('help')}
              onSendKeys={({ label, keys }) => {
                api
                  .sendKeys(node.id, [...keys])
                  .catch((error: unknown) => props.onError?.(`${label} was not sent to ${node.name}`, error))
              }}
            />
          </div>
          <div
            className={classes['stage']}
            onFocus={() => setKeyboard(true)}
            onBlur={({ currentTarget, relatedTarget }) => setKeyboard(currentTarget.contains(relatedTarget))}
          >
            <div className={classes['picture']} data-old={!(isReadable(state) || (wanted && isLive)) || undefined}>
              <Suspense>
                {kind !== 'screen' ? (
                  <SerialConsole
                    key={kind}
                    {...view}
                    kind={kind}
                    ref={setHandle}
                    lastOutput={kind === 'serial' ? (id, signal) => api.serialLog(id, signal) : undefined}
                  />
                ) : (
                  <>
                    {!wanted && <LastScreen node={node} api={api} />}
                    <ScreenConsole {...view} ref={setHandle} />
                  </>
                )}
              </Suspense>
            </div>
            <Veil
              node={node}
              refusal={kind === 'ssh' ? (node.sshRefusal ?? null) : null}
              connection={state.connection}
              startPending={props.startPending ?? false}
              onStart={() => props.onStart(node)}
              onRetry={state.retry}
              onSignIn={props.onSignIn ?? (() => location.reload())}
            />
          </div>
        </div>
        {dialog === 'type' && (
          <TypeTextDialog
            nodeName={node.name}
            type={(piece, signal) => api.typeText(node.id, piece, signal)}
            onClose={() => setDialog(null)}
          />
        )}
        {dialog === 'help' && <ConsoleHelp kind={kind} onClose={() => setDialog(null)} />}
      </OverlayTargetProvider>
      <div ref={setOverlays} />
    </section>
  )
}

/** It has come to its own end: what it said last is there to be read. */
function isReadable({ connection }: PaneState): boolean {
  return connection.phase === 'ended' && connection.next === 'again'
}

/** A node that is seen to run now need not be waited for any longer. */
function useNudge(isRunning: boolean, { connection, retry }: Pick<PaneState, 'connection' | 'retry'>): void {
  const nudge = useEffectEvent(() => connection.phase === 'waiting' && retry())
  useEffect(() => {
    if (isRunning) nudge()
  }, [isRunning])
}

/** Gives the console the keyboard, unless the person is busy elsewhere on the page. */
function useKeyboardWhenLive(pane: RefObject<HTMLElement | null>, handle: ConsoleHandle | null, ready: boolean): void {
  useEffect(() => {
    const { activeElement } = document
    const isFree = activeElement === null || activeElement === document.body || pane.current?.contains(activeElement)
    if (ready && isFree) handle?.focus()
  }, [pane, handle, ready])
}

/** What a node's screen showed when it was last seen; nothing where nobody ever saw it. */
function LastScreen({ node, api }: Pick<ConsolePaneProps, 'node' | 'api'>) {
  const [missing, setMissing] = useState(false)
  if (missing) return null
  return (
    <img
      className={classes['still']}
      src={api.lastScreenUrl(node.id, node.lastExit?.at ?? '')}
      alt={`The last screen of ${node.name}`}
      draggable={false}
      onError={() => setMissing(true)}
    />
  )
}
