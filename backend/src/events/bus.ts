import { EventEmitter } from 'node:events'
import type { LiveEvent, Topic } from '../domain/event.js'

/** Carries "this changed" from the rooms to the sockets. Delivery is in order, in process, and never throws back. */
export interface Bus {
  publish(topic: Topic, id: string, data: unknown): void
  subscribe(listener: (event: LiveEvent) => void): () => void
}

export function createBus(): Bus {
  const emitter = new EventEmitter()
  emitter.setMaxListeners(0)
  let revision = 0
  return {
    publish(topic, id, data) {
      revision += 1
      emitter.emit('event', { topic, id, revision, data } satisfies LiveEvent)
    },
    subscribe(listener) {
      emitter.on('event', listener)
      return () => emitter.off('event', listener)
    },
  }
}
