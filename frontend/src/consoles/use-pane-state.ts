import type { ScreenEngine, Viewer } from '@domain/console.js'
import { useMemo, useState } from 'react'
import type { ConnectionState } from './connection.js'
import type { ConsoleEvents } from './console-view.js'
import type { RecordingState } from './recording-sign.js'

export interface PaneState {
  connection: ConnectionState
  retry: () => void
  viewers: readonly Viewer[]
  selfId: string
  /** Keys that were pressed and went nowhere. */
  idleKeys: number
  /** Null until the console has answered. */
  recording: RecordingState | null
  /** What brings a screen; null until the first ticket. */
  engine: ScreenEngine | null
  /** Why it is not the engine that was wished for. */
  notice: string | null
}

export const NO_ONE: Pick<PaneState, 'viewers' | 'selfId'> = { viewers: [], selfId: '' }
const FRESH: PaneState = {
  connection: { phase: 'off' },
  retry: () => {},
  ...NO_ONE,
  idleKeys: 0,
  recording: null,
  engine: null,
  notice: null,
}

type PaneEvents = Omit<ConsoleEvents, 'onRelease'> & { onRecording: (recording: RecordingState) => void }

/** What a pane knows of its console; begins anew with another console (`key`). */
export function usePaneState(key: string): [PaneState, PaneEvents] {
  const [kept, setKept] = useState({ key, state: FRESH })
  const state = kept.key === key ? kept.state : FRESH
  const events = useMemo(() => {
    const change = (next: (before: PaneState) => Partial<PaneState>) =>
      setKept((before) => {
        const from = before.key === key ? before.state : FRESH
        return { key, state: { ...from, ...next(from) } }
      })
    return {
      onConnection: (connection: ConnectionState, retry: () => void) => change(() => ({ connection, retry })),
      onViewers: (viewers: readonly Viewer[], selfId: string) => change(() => ({ viewers, selfId })),
      onEngine: (engine: ScreenEngine, notice: string | null) => change(() => ({ engine, notice })),
      onRecording: (recording: RecordingState) => change(() => ({ recording })),
      onIdleKey: () => change(({ idleKeys }) => ({ idleKeys: idleKeys + 1 })),
    }
  }, [key])
  return [state, events]
}
