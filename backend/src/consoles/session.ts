import type { ConsoleKind, ConsoleMode, ScreenEngine, Viewer } from '../domain/console.js'
import type { NodeId } from '../domain/ids.js'
import type { Subject } from '../domain/user.js'
import type { ViewerSocket } from './viewer-socket.js'

/** One open console: who looks at which node, how, and over which socket. */
export interface ConsoleSession {
  readonly id: string
  readonly subject: Subject
  readonly nodeId: NodeId
  readonly kind: ConsoleKind
  readonly mode: ConsoleMode
  /** What brings the picture; `direct` for what is no screen. */
  readonly engine: ScreenEngine
  /** What it shows is kept, and its viewer was told so. */
  readonly recorded: boolean
  /** Where it was opened from. */
  readonly address: string
  /** UTC. */
  readonly openedAt: Date
  readonly socket: ViewerSocket
  /** See `Viewer`. Kept by the room that serves this kind. */
  writer: boolean
  /** Called when `writer` has changed; set by the room that serves this kind. */
  writerChanged: () => void
  size: Viewer['size']
  /** `hello` was said. It is the first message; nothing else is told before. */
  isGreeted: boolean
}

/** As others on the same node see it. */
export function viewerOf({ id, subject, kind, mode, engine, writer, size }: ConsoleSession): Viewer {
  return { id, login: subject.login, kind, mode, engine, writer, size }
}
