import type { SerialServerMessage } from '@domain/console.js'

/** Whether this console is recorded, as the server said; with the reason when it was and is no more. */
export interface RecordingState {
  isOn: boolean
  reason: string | null
}

/** Hears what every kind of console says of its recording, whatever else its socket carries. */
export function watchRecording(socket: WebSocket, onChange: (state: RecordingState) => void): WebSocket {
  socket.addEventListener('message', ({ data }: MessageEvent<unknown>) => {
    if (typeof data !== 'string' || !data.startsWith('{')) return
    const message = JSON.parse(data) as SerialServerMessage // from our own server
    if (message.type === 'hello') onChange({ isOn: message.recorded, reason: null })
    if (message.type === 'recorded') onChange({ isOn: message.recorded, reason: message.reason })
  })
  return socket
}
