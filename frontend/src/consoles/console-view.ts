import type { ConsoleTicket, ScreenEngine, Viewer, WantedEngine } from '@domain/console.js'
import type { ConnectionState } from './connection.js'

/** What a console tells the pane around it. */
export interface ConsoleEvents {
  onConnection: (state: ConnectionState, retry: () => void) => void
  onViewers: (viewers: readonly Viewer[], selfId: string) => void
  /** What brings a screen, and why it is not what was wished for. */
  onEngine: (engine: ScreenEngine, notice: string | null) => void
  /** A key was pressed that goes nowhere, because somebody else has control or this one only watches. */
  onIdleKey: () => void
  /** The release chord: the keyboard goes back to the page. */
  onRelease: () => void
}

/** What every console is given. */
export interface ConsoleViewProps extends ConsoleEvents {
  nodeId: string
  nodeName: string
  mode: 'control' | 'view'
  /** For screens. */
  wantedEngine: WantedEngine
  /** The node runs: connect, and connect again after troubles. */
  wanted: boolean
  openTicket: () => Promise<ConsoleTicket>
  openSocket: (ticket: ConsoleTicket) => WebSocket
}

/** What the bar asks of a serial console, or of an SSH console, which is a terminal as well. */
export interface SerialHandle {
  kind: 'serial' | 'ssh'
  focus: () => void
  takeControl: () => void
  releaseControl: () => void
  /** Types `stty cols … rows …`, so that the guest knows how large this terminal is. */
  sendSize: () => void
  find: () => void
  save: (how: 'text' | 'colours') => void
}

/** What the bar asks of a screen console. */
export interface ScreenHandle {
  kind: 'screen'
  focus: () => void
  takeControl: () => void
  releaseControl: () => void
  savePicture: () => void
}

/** A console's kind in the names of things. */
export const KIND_WORDS = { serial: 'serial console', screen: 'screen', ssh: 'SSH console' } as const

export type ConsoleHandle = SerialHandle | ScreenHandle
