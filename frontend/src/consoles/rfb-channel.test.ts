import { describe, expect, it } from '@jest/globals'
import type { SerialServerMessage } from '@domain/console.js'
import type { RfbChannel } from '@novnc/novnc'
import { screenChannel } from './rfb-channel.js'

class TestSocket extends EventTarget {
  binaryType = 'blob'
  protocol = ''
  readyState = 1
  sent: Uint8Array[] = []
  closed = false
  send(data: Uint8Array) {
    this.sent.push(data)
  }
  close() {
    this.closed = true
  }
}

describe('the binary half of a screen’s socket', () => {
  function channelOver(socket: TestSocket) {
    const messages: SerialServerMessage[] = []
    const heard: unknown[] = []
    const made = screenChannel(socket as unknown as WebSocket, (message) => messages.push(message))
    const noVnc: Partial<RfbChannel> = {
      onmessage: ({ data }) => heard.push(data),
      onclose: () => heard.push('closed'),
    }
    Object.assign(made.channel, noVnc)
    return { ...made, messages, heard }
  }

  it('gives noVNC the binary messages and the page the others', () => {
    const socket = new TestSocket()
    const { messages, heard } = channelOver(socket)
    const picture = new ArrayBuffer(3)
    socket.dispatchEvent(new MessageEvent('message', { data: picture }))
    socket.dispatchEvent(new MessageEvent('message', { data: '{"type":"viewers","viewers":[]}' }))
    expect(heard).toEqual([picture])
    expect(messages).toEqual([{ type: 'viewers', viewers: [] }])
    expect(socket.binaryType).toBe('arraybuffer')
  })

  it('copies what noVNC sends, because noVNC goes on using its buffer', () => {
    const socket = new TestSocket()
    const { channel } = channelOver(socket)
    const buffer = new Uint8Array([1, 2, 3])
    channel.send(buffer)
    buffer.fill(0)
    expect([...(socket.sent[0] ?? [])]).toEqual([1, 2, 3])
  })

  it('has everything that noVNC looks for', () => {
    const { channel } = channelOver(new TestSocket())
    const wanted = ['send', 'close', 'binaryType', 'onerror', 'onmessage', 'onopen', 'protocol', 'readyState']
    for (const name of wanted) expect(Object.keys(channel)).toContain(name)
  })

  it('is silent after its end', () => {
    const socket = new TestSocket()
    const { end, heard } = channelOver(socket)
    end()
    socket.dispatchEvent(new MessageEvent('message', { data: new ArrayBuffer(1) }))
    expect(heard).toEqual(['closed'])
  })
})
