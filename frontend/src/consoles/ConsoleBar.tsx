import type { ConsoleKind, ConsoleMode, ScreenEngine, Viewer } from '@domain/console.js'
import type { NodeView } from '@domain/node.js'
import { Tooltip } from '@mantine/core'
import {
  IconArrowsMaximize,
  IconArrowsMinimize,
  IconDeviceDesktop,
  IconLetterCase,
  IconPrompt,
  IconTerminal2,
} from '@tabler/icons-react'
import type { ReactNode, Ref } from 'react'
import { Mark } from '../components/Mark.js'
import { NODE_STATUS } from '../components/node-status.js'
import { BarButton } from './BarButton.js'
import classes from './ConsoleBar.module.css'
import { ControlState } from './ControlState.js'
import type { ConsoleHandle } from './console-view.js'
import { EngineMenu } from './EngineMenu.js'
import { MoreMenu } from './MoreMenu.js'
import type { RecordingState } from './recording-sign.js'
import { RecordingSign } from './RecordingSign.js'
import { RELEASE_CHORD } from './release-chord.js'
import type { KeyChord } from './send-keys.js'
import { SendKeysMenu } from './SendKeysMenu.js'
import type { FullScreen } from './use-full-screen.js'
import { Viewers } from './Viewers.js'

interface Props {
  node: NodeView
  title: ReactNode
  stale: boolean
  kind: ConsoleKind
  mode: ConsoleMode
  handle: ConsoleHandle | null
  isLive: boolean
  hasKeyboard: boolean
  viewers: readonly Viewer[]
  selfId: string
  engine: ScreenEngine | null
  notice: string | null
  idleKeys: number
  recording: RecordingState | null
  fullScreen: FullScreen
  onKindChange: ((kind: ConsoleKind) => void) | undefined
  onModeChange: ((mode: ConsoleMode) => void) | undefined
  onSendKeys: (chord: KeyChord) => void
  onTypeText: () => void
  onHelp: () => void
  ref: Ref<HTMLDivElement>
}

const KINDS = [
  { kind: 'serial', word: 'Serial', Icon: IconTerminal2 },
  { kind: 'screen', word: 'Screen', Icon: IconDeviceDesktop },
  { kind: 'ssh', word: 'SSH', Icon: IconPrompt },
] as const

/** One slim line over a console: what it is, who is here, who types, and what the guest can't be told by keys. */
export function ConsoleBar({ ref, ...props }: Props) {
  const { node, kind, mode, handle, isLive, fullScreen, onKindChange } = props
  const keysRefusal = refusalOfKeys(props)
  return (
    <div ref={ref} className={classes['bar']} role="toolbar" aria-label={`Console of ${node.name}`}>
      {props.title !== null && <NodeSign node={node} stale={props.stale} title={props.title} />}
      {onKindChange && (
        <fieldset className={classes['kinds']} aria-label="Kind of console">
          {KINDS.map(({ kind: one, word, Icon }) => {
            const refusal = one === 'ssh' ? (node.sshRefusal ?? null) : null
            return (
              <Tooltip key={one} label={refusal} disabled={refusal === null}>
                <button
                  type="button"
                  className={classes['kind']}
                  aria-pressed={one === kind}
                  aria-label={word}
                  aria-disabled={refusal === null ? undefined : true}
                  onClick={refusal === null ? () => onKindChange(one) : undefined}
                >
                  <Icon size={14} stroke={1.6} aria-hidden />
                  <span className={classes['word']}>{word}</span>
                </button>
              </Tooltip>
            )
          })}
        </fieldset>
      )}
      <RecordingSign state={props.recording} />
      <ControlState {...props} />
      <div className={classes['gap']} />
      {props.hasKeyboard && <WayOut fullScreen={fullScreen} />}
      <Viewers viewers={props.viewers} selfId={props.selfId} />
      {kind === 'screen' && (
        <>
          <EngineMenu engine={isLive ? props.engine : null} notice={props.notice} onClose={() => handle?.focus()} />
          <SendKeysMenu reason={keysRefusal} onSend={props.onSendKeys} onClose={() => handle?.focus()} />
          <BarButton label="Type text" reason={keysRefusal} onClick={props.onTypeText}>
            <IconLetterCase size={16} stroke={1.6} />
          </BarButton>
        </>
      )}
      <MoreMenu
        kind={kind}
        mode={mode}
        handle={handle}
        isLive={isLive}
        mayType={keysRefusal === null && isWriter(props)}
        onModeChange={props.onModeChange}
        onHelp={props.onHelp}
      />
      <BarButton
        label={fullScreen.isFull ? 'Leave full screen' : 'Full screen'}
        reason={fullScreen.refusal}
        onClick={fullScreen.toggle}
      >
        {fullScreen.isFull ? <IconArrowsMinimize size={15} /> : <IconArrowsMaximize size={15} />}
      </BarButton>
    </div>
  )
}

/** The status as the server last saw it; without its colour while the page's line to the server is down. */
function NodeSign({ node, stale, title }: { node: NodeView; stale: boolean; title: ReactNode }) {
  const { word, tone, shape } = NODE_STATUS[node.status]
  const isSaid = stale || node.status !== 'running'
  const text = stale ? `Last known: ${word.toLowerCase()}` : word
  return (
    <div className={classes['node']}>
      <Tooltip label={text}>
        <span className={classes['sign']}>
          <Mark shape={stale ? 'ring' : shape} tone={stale ? 'off' : tone} turning={!stale && shape === 'half'} />
          {!isSaid && <span className="visually-hidden">{text}</span>}
        </span>
      </Tooltip>
      <span className={classes['name']}>{title}</span>
      {isSaid && <span className={classes['status']}>{text}</span>}
    </div>
  )
}

/** How to get the keyboard back; shown as long as the guest has it. */
function WayOut({ fullScreen }: { fullScreen: FullScreen }) {
  if (fullScreen.isFull) {
    return (
      <span className={classes['leave']}>{fullScreen.hasKeys ? 'Hold Esc to leave' : 'Esc leaves full screen'}</span>
    )
  }
  return (
    <span className={classes['leave']}>
      <kbd>{RELEASE_CHORD}</kbd> leaves the console
    </span>
  )
}

function refusalOfKeys(props: Pick<Props, 'kind' | 'mode' | 'isLive' | 'viewers' | 'selfId'>): string | null {
  if (props.mode === 'view') return 'You only watch this console.'
  if (!props.isLive) return 'The console is not connected.'
  return props.kind === 'screen' && !isWriter(props) ? 'Take control first.' : null
}

function isWriter({ viewers, selfId }: Pick<Props, 'viewers' | 'selfId'>): boolean {
  return viewers.some(({ id, writer }) => id === selfId && writer)
}
