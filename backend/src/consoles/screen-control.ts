import { type ScreenClientMessage, screenClientMessageSchema } from '../domain/console.js'
import type { NodeId } from '../domain/ids.js'
import { createSerialControl, type SerialControl } from './serial-control.js'
import type { ConsoleSession } from './session.js'
import { POLICY_VIOLATION } from './viewer-socket.js'

/** Who may type on each node's screen: one at a time, as on the serial line, whichever engine brings the picture. */
export interface ScreenControls {
  /** `guest`: not the node's owner; sees until control is taken, so that nobody is surprised by a second pointer. */
  join(session: ConsoleSession, about: { guest: boolean }): void
  leave(session: ConsoleSession): void
  /** A text message of this session's viewer; one that is none of ours ends the console. */
  heard(session: ConsoleSession, text: string): void
}

export interface ScreenControlsOptions {
  /** The node's viewers are to be told. */
  onChange: (nodeId: NodeId) => void
  onControl: (session: ConsoleSession, what: ScreenClientMessage['type']) => void
}

export function createScreenControls({ onChange, onControl }: ScreenControlsOptions): ScreenControls {
  const byNode = new Map<NodeId, { control: SerialControl; sessions: Set<ConsoleSession> }>()

  function partsOf(nodeId: NodeId) {
    const parts = byNode.get(nodeId) ?? { control: createSerialControl(), sessions: new Set() }
    byNode.set(nodeId, parts)
    return parts
  }

  function show(nodeId: NodeId): void {
    const { control, sessions } = partsOf(nodeId)
    // Who loses it first: no moment in which two may type.
    for (const mine of [false, true]) {
      for (const session of sessions) {
        const isWriter = session.id === control.writerId
        if (isWriter !== mine || session.writer === isWriter) continue
        session.writer = isWriter
        session.writerChanged()
      }
    }
    onChange(nodeId)
  }

  return {
    join(session, { guest }) {
      const { control, sessions } = partsOf(session.nodeId)
      sessions.add(session)
      control.join({ id: session.id, userId: session.subject.userId, mode: session.mode, guest })
      show(session.nodeId)
    },
    leave(session) {
      const { control, sessions } = partsOf(session.nodeId)
      if (sessions.delete(session)) control.leave(session.id)
      if (sessions.size === 0) byNode.delete(session.nodeId)
      else show(session.nodeId)
    },
    heard(session, text) {
      const message = parseMessage(text)
      if (!message) return session.socket.close(POLICY_VIOLATION, 'not a message of the screen console')
      const { control } = partsOf(session.nodeId)
      const before = control.writerId
      if (message.type === 'take-control') control.take(session.id)
      else control.release(session.id)
      if (control.writerId === before) return
      show(session.nodeId)
      onControl(session, message.type)
    },
  }
}

function parseMessage(text: string): ScreenClientMessage | undefined {
  try {
    return screenClientMessageSchema.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}
