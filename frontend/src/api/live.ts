import type { LiveEvent, Topic } from '@domain/event.js'
import { useQueryClient } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { io } from 'socket.io-client'
import { createLiveCache } from './live-cache.js'
import { sessionKey } from './session.js'

/** `connecting`: not yet for the first time. `paused`: the line is down and what is shown may be old. */
export type LiveState = 'connecting' | 'live' | 'paused'

/** Keeps the cache in step with the server for as long as the component is there. */
export function useLiveUpdates(topics: readonly Topic[]): LiveState {
  const client = useQueryClient()
  const [state, setState] = useState<LiveState>('connecting')
  const wanted = topics.join(' ')

  useEffect(() => {
    const cache = createLiveCache(client)
    let interrupted = false
    const pause = () => {
      interrupted = true
      setState('paused')
    }
    const socket = io(new URL('/', document.baseURI).origin, {
      path: new URL('socket.io/', document.baseURI).pathname,
      transports: ['websocket', 'polling'],
      reconnectionDelay: 1000,
      reconnectionDelayMax: 8000,
    })
    socket.on('connect', () => {
      socket.emit('subscribe', { topics: wanted.split(' ') }, () => {
        cache.startOver(interrupted ? 'everything' : 'live topics')
        interrupted = false
        setState('live')
      })
    })
    socket.on('change', (event: LiveEvent) => cache.apply(event))
    socket.on('disconnect', (reason) => {
      pause()
      if (reason !== 'io server disconnect') return
      void client.invalidateQueries({ queryKey: sessionKey }) // it ends the line when the session has ended
      socket.connect()
    })
    socket.on('connect_error', pause)
    return () => {
      socket.disconnect()
    }
  }, [client, wanted])

  return state
}
