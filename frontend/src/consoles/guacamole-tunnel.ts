import type { SerialServerMessage } from '@domain/console.js'
import Guacamole from 'guacamole-common-js'

/**
 * Guacamole's end of a socket that is open, or will be. The server's own messages are JSON objects between Guacamole's
 * instructions, which begin with a digit. What becomes of a lost socket is the owner's to decide.
 */
export function createTunnel(
  socket: WebSocket,
  onMessage: (message: SerialServerMessage) => void,
): { tunnel: Guacamole.Tunnel; end: () => void } {
  const tunnel = new (Guacamole.Tunnel as unknown as new () => Guacamole.Tunnel)() // abstract only in its types
  const parser = new Guacamole.Parser()
  const toPage = onMessage
  parser.oninstruction = (opcode, parameters) => {
    // The tunnel's own words: the connection's id at guacd, and answers to pings.
    if (opcode !== Guacamole.Tunnel.INTERNAL_DATA_OPCODE) tunnel.oninstruction?.(opcode, parameters)
  }
  const onOpen = () => setState(Guacamole.Tunnel.State.OPEN)
  const onData = ({ data }: MessageEvent<string>) => {
    if (data.startsWith('{')) toPage(JSON.parse(data) as SerialServerMessage) // from our own server
    else parser.receive(data)
  }

  function setState(state: Guacamole.Tunnel.State): void {
    if (state === tunnel.state) return
    tunnel.state = state
    tunnel.onstatechange?.(state)
  }

  function end(): void {
    socket.removeEventListener('open', onOpen)
    socket.removeEventListener('message', onData)
    setState(Guacamole.Tunnel.State.CLOSED)
  }

  tunnel.connect = () => {
    setState(Guacamole.Tunnel.State.CONNECTING)
    socket.addEventListener('open', onOpen)
    socket.addEventListener('message', onData)
    if (socket.readyState === socket.OPEN) onOpen()
  }
  tunnel.disconnect = end
  tunnel.isConnected = () => tunnel.state === Guacamole.Tunnel.State.OPEN
  tunnel.sendMessage = (...elements: unknown[]) => {
    if (tunnel.isConnected() && socket.readyState === socket.OPEN) socket.send(encodeInstruction(elements.map(String)))
  }
  return { tunnel, end }
}

/** `3.key,5.65293,1.1;` — lengths count code points. */
export function encodeInstruction(elements: readonly string[]): string {
  return `${elements.map((element) => `${Array.from(element).length}.${element}`).join(',')};`
}
