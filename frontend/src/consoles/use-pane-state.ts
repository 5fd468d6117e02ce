import type { Viewer } from '@domain/console.js'
import { useMemo, useState } from 'react'
import type { ConnectionState } from './connection.js'
import type { ConsoleEvents } from './console-view.js'

export interface PaneState {
  connection: ConnectionState
  retry: () => void
  viewers: readonly Viewer[]
  selfId: string
  /** Keys that were pressed and went nowhere. */
  idleKeys: number
}

export const NO_ONE: Pick<PaneState, 'viewers' | 'selfId'> = { viewers: [], selfId: '' }
const FRESH: PaneState = {
  connection: { phase: 'off' },
  retry: () => {},
  ...NO_ONE,
  idleKeys: 0,
}

/** What a pane knows of its console; begins anew with another console (`key`). */
export function usePaneState(key: string): [PaneState, Omit<ConsoleEvents, 'onRelease'>] {
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
      onIdleKey: () => change(({ idleKeys }) => ({ idleKeys: idleKeys + 1 })),
    }
  }, [key])
  return [state, events]
}
