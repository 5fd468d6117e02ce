import { describe, expect, it } from '@jest/globals'
import type { SerialServerMessage } from '@domain/console.js'
import { createTunnel, encodeInstruction } from './guacamole-tunnel.js'

class TestSocket extends EventTarget {
  readonly OPEN = 1
  readyState = 1
  sent: string[] = []
  send(text: string) {
    this.sent.push(text)
  }
  hear(data: string) {
    this.dispatchEvent(new MessageEvent('message', { data }))
  }
}

function tunnelOver(socket: TestSocket) {
  const messages: SerialServerMessage[] = []
  const heard: unknown[] = []
  const { tunnel, end } = createTunnel(socket as unknown as WebSocket, (message) => messages.push(message))
  tunnel.oninstruction = (opcode, parameters) => heard.push([opcode, ...parameters])
  tunnel.connect()
  return { tunnel, end, messages, heard }
}

describe('Guacamole’s end of a screen’s socket', () => {
  it('gives Guacamole its instructions and the page the other messages', () => {
    const socket = new TestSocket()
    const { heard, messages } = tunnelOver(socket)
    socket.hear('{"type":"viewers","viewers":[]}')
    socket.hear('0.,37.$32138b5f-ed5a-450e-a2e3-f4ce13713430;')
    socket.hear('4.size,1.0,3.720,3.400;4.name,4.Café;')
    expect(messages).toEqual([{ type: 'viewers', viewers: [] }])
    expect(heard).toEqual([
      ['size', '0', '720', '400'],
      ['name', 'Café'],
    ])
  })

  it('counts letters as guacd does', () => {
    expect(encodeInstruction(['clipboard', 'é€𝄞', ''])).toBe('9.clipboard,3.é€𝄞,0.;')
  })

  it('sends whole instructions while the socket is open, and nothing after its end', () => {
    const socket = new TestSocket()
    const { tunnel, end, heard } = tunnelOver(socket)
    tunnel.sendMessage('key', 65_293, 1)
    socket.readyState = 2
    tunnel.sendMessage('key', 65_293, 0)
    socket.readyState = 1
    end()
    tunnel.sendMessage('nop')
    socket.hear('4.size,1.0,3.720,3.400;')
    expect(socket.sent).toEqual(['3.key,5.65293,1.1;'])
    expect(heard).toEqual([])
    expect(tunnel.isConnected()).toBe(false)
  })
})
