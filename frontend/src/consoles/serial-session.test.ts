import { beforeEach, describe, expect, it } from '@jest/globals'
import type { SerialServerMessage, Viewer } from '@domain/console.js'
import { attachSerial, type SerialSession } from './serial-session.js'

class TestSocket extends EventTarget {
  readonly OPEN = 1
  readyState = 1
  binaryType = ''
  readonly sent: (string | Uint8Array)[] = []
  send(data: string | Uint8Array) {
    this.sent.push(data)
  }
  get messages(): unknown[] {
    return this.sent.filter((one) => typeof one === 'string').map((one) => JSON.parse(one) as unknown)
  }
  get typed(): string {
    return this.sent.map((one) => (typeof one === 'string' ? '' : String.fromCharCode(...one))).join('')
  }
  hear(data: SerialServerMessage | Uint8Array) {
    const what = data instanceof Uint8Array ? data.slice().buffer : JSON.stringify(data)
    this.dispatchEvent(new MessageEvent('message', { data: what }))
  }
}

const me: Viewer = {
  id: 'me',
  login: 'ann',
  kind: 'serial',
  mode: 'control',
  engine: 'direct',
  writer: true,
  size: null,
}
/** ASCII; jsdom has no encoder. */
const text = (what: string) => Uint8Array.from(what, (letter) => letter.charCodeAt(0))

describe('a serial session in the page', () => {
  let socket: TestSocket
  let session: SerialSession
  let waiting: { bytes: Uint8Array; drawn: () => void }[] = []
  let skipped: number[] = []
  let viewers: readonly Viewer[] = []

  beforeEach(() => {
    socket = new TestSocket()
    waiting = []
    skipped = []
    session = attachSerial(
      socket as unknown as WebSocket,
      { write: (bytes, drawn) => waiting.push({ bytes, drawn }) },
      { onHello: () => {}, onViewers: (now) => (viewers = now), onSkipped: (bytes) => skipped.push(bytes) },
    )
  })

  function draw(count = waiting.length): void {
    for (const { drawn } of waiting.splice(0, count)) drawn()
  }
  function begin(replay: string, writer = true): void {
    socket.hear({ type: 'hello', viewerId: 'me', mode: 'control', replayBytes: text(replay).length, recorded: false })
    socket.hear({ type: 'viewers', viewers: [{ ...me, writer }] })
    if (replay) socket.hear(text(replay))
  }

  it('hands bytes to the terminal as they are, in pieces that it can draw quickly', () => {
    begin('')
    const flood = new Uint8Array(200_000).map((_none, at) => at % 251)
    socket.hear(flood)
    expect(waiting.every(({ bytes }) => bytes.length <= 32 * 1024)).toBe(true)
    expect(waiting.flatMap(({ bytes }) => [...bytes])).toEqual([...flood])
  })

  it('acknowledges what is drawn and nothing that is not', () => {
    begin('')
    socket.hear(new Uint8Array(300_000))
    expect(socket.messages).toEqual([])
    draw(1)
    expect(socket.messages).toEqual([])
    draw(1)
    expect(socket.messages).toEqual([{ type: 'ack', bytes: 64 * 1024 }])
    draw()
    expect(socket.messages.at(-1)).toEqual({ type: 'ack', bytes: 300_000 })
    socket.hear(text('$ '))
    draw()
    expect(socket.messages.at(-1)).toEqual({ type: 'ack', bytes: 300_002 })
  })

  it('does not type what the terminal answers while history is drawn again', () => {
    begin('\u001b[6nold prompt')
    session.type(text('\u001b[24;1R'))
    expect(socket.typed).toBe('')
    draw()
    session.type(text('ls\r'))
    expect(socket.typed).toBe('ls\r')
  })

  it('types only while it is the writer', () => {
    begin('', false)
    session.type(text('x'))
    expect(socket.typed).toBe('')
    socket.hear({ type: 'viewers', viewers: [me] })
    expect(session.isWriter).toBe(true)
    session.type(text('y'))
    expect(socket.typed).toBe('y')
    expect(viewers).toEqual([me])
  })

  it('says what was skipped', () => {
    begin('')
    socket.hear({ type: 'skipped', bytes: 1_500_000 })
    expect(skipped).toEqual([1_500_000])
  })

  it('is silent after it was let go', () => {
    begin('')
    session.detach()
    socket.hear(text('late'))
    session.type(text('x'))
    session.tell({ type: 'take-control' })
    expect(waiting).toEqual([])
    expect(socket.sent).toEqual([])
  })
})
