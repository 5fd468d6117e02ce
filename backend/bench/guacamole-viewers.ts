import { WebSocket } from 'ws'
import { encode } from '../test/console/guacamole-client.js'

/** Viewers of a screen in a process of their own; tells the parent how they fared. */
const [origin = '', ms = '', ...addresses] = process.argv.slice(2)
let dropped = 0
let frames = 0
let slowestMs = 0
const ends: string[] = []
let isOver = false

const sockets = addresses.map((address) => {
  const ws = new WebSocket(address, { perMessageDeflate: false, headers: { origin } })
  let lastAt = performance.now()
  ws.on('error', () => undefined)
  ws.on('close', (code, reason) => {
    if (isOver) return
    dropped += 1
    ends.push(`${code} ${reason.toString()} after ${Math.round(performance.now() / 1000)} s`)
  })
  ws.on('message', (data: Buffer) => {
    const sync = /^4\.sync,\d+\.(\d+)/.exec(data.toString('latin1', 0, 64))
    if (!sync) return
    frames += 1
    slowestMs = Math.max(slowestMs, performance.now() - lastAt)
    lastAt = performance.now()
    ws.send(encode(['sync', sync[1]!]))
  })
  return ws
})
setTimeout(() => {
  isOver = true
  process.send?.({ dropped, frames, slowestMs, ends }, () => process.exit(0))
  for (const ws of sockets) ws.terminate()
}, Number(ms))
