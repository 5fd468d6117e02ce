import type { ConsoleTicket } from '@domain/console.js'
import { useEffect, useEffectEvent } from 'react'
import { type ConnectionOptions, type ConnectionState, createConnection } from './connection.js'

export interface UseConnectionOptions {
  /** Changes when another connection is meant: another node, mode or display. Undefined: nothing to attach to yet. */
  key: string | undefined
  /** The node runs: connect, and again after troubles. */
  wanted: boolean
  openTicket: () => Promise<ConsoleTicket>
  openSocket: (ticket: ConsoleTicket) => WebSocket
  attach: ConnectionOptions['attach']
  onState: (state: ConnectionState, retry: () => void) => void
}

/** Keeps a console connected while it is wanted. */
export function useConnection({ key, wanted, ...options }: UseConnectionOptions): void {
  const openTicket = useEffectEvent(options.openTicket)
  const openSocket = useEffectEvent(options.openSocket)
  const attach = useEffectEvent(options.attach)
  const onState = useEffectEvent(options.onState)
  const isNodeUp = useEffectEvent(() => wanted)

  useEffect(() => {
    if (key === undefined || !wanted) return undefined
    const connection = createConnection({
      openTicket: () => openTicket(),
      openSocket: (ticket) => openSocket(ticket),
      attach: (socket, live) => attach(socket, live),
      isNodeUp: () => isNodeUp(),
      onState: (state) => onState(state, () => connection.retry()),
    })
    const hurry = () => connection.state.phase === 'waiting' && connection.retry()
    connection.start()
    addEventListener('online', hurry)
    return () => {
      removeEventListener('online', hurry)
      connection.stop()
    }
  }, [key, wanted])
}
