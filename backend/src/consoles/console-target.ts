import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { ConsoleTarget } from '../hosts/engine.js'

const CONNECT_TIMEOUT_MS = 5000

/** Connects to where the engine says a console's bytes are. The caller owns the stream and its errors. */
export function openTarget(target: ConsoleTarget): Promise<Duplex> {
  if (target.via === 'stream') return target.open()
  if (target.via === 'unix') return connected(connect({ path: target.path }))
  if (target.secret !== undefined) return Promise.reject(new Error('console targets with a secret are not spoken yet'))
  return connected(connect({ host: target.host, port: target.port, noDelay: true }))
}

function connected(socket: Socket): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => socket.destroy(new Error('no answer in time')), CONNECT_TIMEOUT_MS)
    socket.once('error', reject)
    socket.once('close', () => clearTimeout(timer))
    socket.once('connect', () => {
      clearTimeout(timer)
      socket.off('error', reject)
      resolve(socket)
    })
  })
}
