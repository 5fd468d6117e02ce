import type { RfbChannel } from '@novnc/novnc'
import type { SerialServerMessage } from '@domain/console.js'

/** What noVNC is given instead of the socket itself. */
export interface ScreenChannel {
  channel: RfbChannel
  /** Lets noVNC end at once, as if the other side had closed. */
  end: () => void
}

/**
 * The screen's socket carries raw RFB in binary messages and, in text messages, who else is there. noVNC knows only the
 * first kind, so it gets this: the binary half of the socket. It is not told when the socket closes; the owner ends it,
 * after it has kept the last picture.
 */
export function screenChannel(socket: WebSocket, onMessage: (message: SerialServerMessage) => void): ScreenChannel {
  socket.binaryType = 'arraybuffer'
  const channel: RfbChannel = {
    binaryType: 'arraybuffer',
    get protocol() {
      return socket.protocol
    },
    get readyState() {
      return socket.readyState
    },
    onopen: null,
    onmessage: null,
    onclose: null,
    onerror: null,
    send: (data) => socket.send(data.slice()),
    close: () => socket.close(),
  }
  const onOpen = () => channel.onopen?.()
  const onData = ({ data }: MessageEvent<ArrayBuffer | string>) => {
    if (typeof data === 'string') onMessage(JSON.parse(data) as SerialServerMessage) // from our own server
    else channel.onmessage?.({ data })
  }
  socket.addEventListener('open', onOpen)
  socket.addEventListener('message', onData)
  return {
    channel,
    end() {
      socket.removeEventListener('open', onOpen)
      socket.removeEventListener('message', onData)
      channel.onclose?.({ code: 1000, reason: '' })
    },
  }
}
