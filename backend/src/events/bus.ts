import { EventEmitter } from 'node:events'
import type { LiveEvent, Topic } from '../domain/event.js'

export interface BusEvent extends LiveEvent {
  ownerId: string | undefined
}

/** Carries "this changed" from the rooms to the sockets. Delivery is in order, in process, and never throws back. */
export interface Bus {
  /** `ownerId`: whose object it is; only those who may read it are told. Absent: everybody who may see the topic. */
  publish(topic: Topic, id: string, data: unknown, ownerId?: string): void
  subscribe(listener: (event: BusEvent) => void): () => void
}

export function createBus(): Bus {
  const emitter = new EventEmitter()
  emitter.setMaxListeners(0)
  let revision = 0
  return {
    publish(topic, id, data, ownerId) {
      revision += 1
      emitter.emit('event', { topic, id, revision, data, ownerId } satisfies BusEvent)
    },
    subscribe(listener) {
      emitter.on('event', listener)
      return () => emitter.off('event', listener)
    },
  }
}
