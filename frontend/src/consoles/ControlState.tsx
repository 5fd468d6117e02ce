import type { ConsoleKind, ConsoleMode, Viewer } from '@domain/console.js'
import { BarButton } from './BarButton.js'
import classes from './ConsoleBar.module.css'
import type { ConsoleHandle } from './console-view.js'

interface Props {
  handle: ConsoleHandle | null
  kind: ConsoleKind
  mode: ConsoleMode
  viewers: readonly Viewer[]
  selfId: string
  /** Grows with each key that was pressed in vain: then this draws the eye. */
  idleKeys: number
  onModeChange?: ((mode: ConsoleMode) => void) | undefined
}

/** Who types on this serial line or screen. Silent while one is alone and can type. */
export function ControlState({ handle, kind, mode, viewers, selfId, idleKeys, onModeChange }: Props) {
  if (mode === 'view') {
    return (
      <output key={idleKeys} data-called={idleKeys > 0 || undefined} className={classes['control']}>
        <span>View only</span>
        {onModeChange && (
          <BarButton label="Do not only watch" wide onClick={() => onModeChange('control')}>
            Type
          </BarButton>
        )}
      </output>
    )
  }
  if (!handle || handle.kind !== kind || kind === 'ssh') return null // each has an SSH session of his own
  const here = viewers.filter((viewer) => viewer.kind === kind)
  const writer = here.find((viewer) => viewer.writer)
  const isMine = writer?.id === selfId
  if (here.length === 0 || (isMine && here.length === 1)) return null
  return (
    <output key={idleKeys} data-called={idleKeys > 0 || undefined} className={classes['control']}>
      <span>{isMine ? 'You have control' : writerText(writer, here, selfId)}</span>
      {isMine ? (
        <BarButton label="Let the next one type" wide onClick={handle.releaseControl}>
          Release
        </BarButton>
      ) : (
        <BarButton label="Type yourself; everybody here sees it" wide urgent onClick={handle.takeControl}>
          Take control
        </BarButton>
      )}
    </output>
  )
}

function writerText(writer: Viewer | undefined, all: readonly Viewer[], selfId: string): string {
  if (!writer) return 'Nobody has control'
  const self = all.find(({ id }) => id === selfId)
  return writer.login === self?.login ? 'Your other window has control' : `${writer.login} has control`
}
