import { EventEmitter } from 'node:events'
import { describe, expect, it } from '@jest/globals'
import type { WebSocket } from 'ws'
import { liteSocket } from './lite-socket.js'
import { createScreenRecorder } from './screen-recorder.js'

const of = (...elements: string[]) => `${elements.map((one) => `${one.length}.${one}`).join(',')};`

/** A viewer's WebSocket as far as it is asked, and all that came out of it. */
function connected() {
  const sent: string[] = []
  const parts = {
    OPEN: 1,
    CLOSED: 3,
    CLOSING: 2,
    readyState: 1,
    bufferedAmount: 0,
    send(text: string, _options: object, done: () => void) {
      sent.push(text)
      done()
    },
  }
  const ws = Object.assign(new EventEmitter(), parts) as unknown as WebSocket
  const recorded: string[] = []
  const toGuacd: string[] = []
  const recorder = createScreenRecorder((instructions) => recorded.push(instructions))
  const events = { text: () => undefined, ended: () => undefined, violated: () => undefined }
  const socket = liteSocket(ws, events, recorder)
  socket.on('message', (text: string) => toGuacd.push(text))
  const show = (text: string) => socket.send(text, {}, () => undefined)
  const say = (text: string) => ws.emit('message', Buffer.from(text), false)
  return { sent, recorded, toGuacd, recorder, show, say }
}

describe('a viewer’s connection that is recorded', () => {
  it('brings everything to both sides, and into the recording the picture and the pointer alone, in order', () => {
    const { sent, recorded, toGuacd, recorder, show, say } = connected()
    const [size, sync, mouse, key] = [
      of('size', '0', '640', '480'),
      of('sync', '1'),
      of('mouse', '3', '4', '0'),
      of('key', '97', '1'),
    ]
    const clipboard = [of('clipboard', '0', 'text/plain'), of('blob', '0', 'c2VjcmV0'), of('end', '0')]
    show(of('', 'the connection'))
    show(size)
    say(key)
    say(mouse)
    for (const one of clipboard) show(one)
    say(clipboard.join(''))
    say('{"type":"take-control"}')
    show(sync)
    recorder.flush()
    expect(sent).toEqual([of('', 'the connection'), size, ...clipboard, sync])
    expect(toGuacd.join('')).toBe(key + mouse + clipboard.join(''))
    expect(recorded.join('')).toBe(size + mouse + sync)
  })

  it('gives pieces of some size without being asked', () => {
    const { recorded, recorder, show } = connected()
    for (let at = 0; at < 20; at += 1) show(of('blob', '1', 'a'.repeat(8000)))
    expect(recorded.length).toBe(2)
    recorder.flush()
    recorder.flush()
    expect(recorded.length).toBe(3)
    expect(recorded.join('').length).toBe(20 * of('blob', '1', 'a'.repeat(8000)).length)
  })
})
