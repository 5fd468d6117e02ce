import type { IncomingMessage, Server as HttpServer } from 'node:http'
import { Server, type Socket } from 'socket.io'
import { z } from 'zod'
import { authorize, type OwnedObject } from '../domain/authorize.js'
import { TOPICS, type LiveEvent, type Topic } from '../domain/event.js'
import { userIdSchema, type UserId } from '../domain/ids.js'
import type { Role, Subject } from '../domain/user.js'
import type { Bus, BusEvent } from './bus.js'

export interface SocketDependencies {
  bus: Bus
  /** From the handshake's cookie or token; null refuses. */
  subjectOf(socket: Socket): Promise<Subject | null>
  ownerOf(userId: UserId): OwnedObject
  /** A foreign page must not listen with a person's cookie. */
  originAllowed(request: IncomingMessage): boolean
}

const subscribeSchema = z.strictObject({ topics: z.array(z.enum(TOPICS)).max(TOPICS.length) })

/** Which roles hear of a topic at all; what they hear of it is decided object by object. */
const TOPIC_ROLES: Record<Topic, readonly Role[]> = {
  nodes: ['student', 'instructor', 'administrator'],
  images: ['student', 'instructor', 'administrator'],
  operations: ['student', 'instructor', 'administrator'],
  users: ['instructor', 'administrator'],
  audit: ['administrator'],
  health: ['administrator'],
  storage: ['instructor', 'administrator'],
}

export interface LiveSockets {
  /** Ends every socket of this session, token or person at once. */
  disconnect(match: (subject: Subject) => boolean): void
  close(): Promise<void>
}

/** Live updates: `change` events to whoever subscribed and may know. Nothing is ever accepted but `subscribe`. */
export function createSockets(http: HttpServer, dependencies: SocketDependencies): LiveSockets {
  const io = new Server({
    path: '/socket.io',
    serveClient: false,
    destroyUpgrade: false, // the one upgrade router ends what is not ours
    maxHttpBufferSize: 16 * 1024,
    allowEIO3: false,
    allowRequest: (request, decide) => decide(null, dependencies.originAllowed(request)),
  })
  io.attach(http)
  const subjects = new Map<string, Subject>()

  io.use((socket, next) => {
    void admit(socket).then(next)
  })
  /** Undefined lets it in. */
  async function admit(socket: Socket): Promise<Error | undefined> {
    try {
      const subject = await dependencies.subjectOf(socket)
      if (!subject || subject.mustChangePassword) return new Error('not_signed_in')
      subjects.set(socket.id, subject)
      return undefined
    } catch (error) {
      return new Error('database_down', { cause: error })
    }
  }
  io.on('connection', (socket) => {
    socket.on('subscribe', (message: unknown, acknowledge: unknown) =>
      subscribe(socket, subjects, message, acknowledge),
    )
    socket.on('disconnect', () => void subjects.delete(socket.id))
  })
  const unsubscribe = dependencies.bus.subscribe((event) => {
    for (const socket of io.sockets.sockets.values()) {
      const subject = subjects.get(socket.id)
      if (subject && socket.rooms.has(event.topic) && mayKnow(dependencies, subject, event)) {
        const { topic, id, revision, data } = event
        socket.emit('change', { topic, id, revision, data } satisfies LiveEvent)
      }
    }
  })

  return {
    disconnect(match) {
      for (const socket of io.sockets.sockets.values()) {
        const subject = subjects.get(socket.id)
        if (subject && match(subject)) socket.disconnect(true)
      }
    },
    async close() {
      unsubscribe()
      await io.close()
    },
  }
}

function subscribe(socket: Socket, subjects: Map<string, Subject>, message: unknown, acknowledge: unknown): void {
  const parsed = subscribeSchema.safeParse(message)
  const subject = subjects.get(socket.id)
  const topics =
    parsed.success && subject ? parsed.data.topics.filter((t) => TOPIC_ROLES[t].includes(subject.role)) : []
  for (const topic of topics) void socket.join(topic)
  if (typeof acknowledge === 'function') acknowledge({ ok: parsed.success, topics })
}

function mayKnow(dependencies: SocketDependencies, subject: Subject, event: BusEvent): boolean {
  if (event.topic === 'nodes' || event.topic === 'operations') {
    const owner = userIdSchema.safeParse(event.ownerId)
    const action = event.topic === 'nodes' ? 'node.read' : 'operation.read'
    return owner.success
      ? authorize(subject, action, dependencies.ownerOf(owner.data))
      : subject.role === 'administrator'
  }
  return TOPIC_ROLES[event.topic].includes(subject.role)
}
