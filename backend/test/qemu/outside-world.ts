import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { createServer, type Server } from 'node:net'
import { networkInterfaces } from 'node:os'
import type { AddressInfo } from 'node:net'

/** A host on the internet, made of a network namespace; nothing of this machine answers at its address. */
export interface OutsideWorld {
  /** Neither private nor of this machine or its networks. */
  address: string
  port: number
  /** An address of this machine towards it, and one of its in the same network: both are nobody's business. */
  hostAddress: string
  neighbour: string
  close(): Promise<void>
}

const NAMESPACE = 'sbx-outside'
const PROGRAM = `require('net').createServer((s) => { s.on('error', () => {}); s.end('outside\\n') })
  .listen(Number(process.argv[1]), '0.0.0.0', () => console.log('listening'))`

export async function makeOutsideWorld(): Promise<OutsideWorld> {
  const ip = (...args: string[]) => execFileSync('ip', args, { stdio: 'pipe' })
  const remove = () => {
    try {
      ip('netns', 'delete', NAMESPACE) // takes the pair of interfaces and the route with it
    } catch {
      // none was left behind
    }
  }
  remove()
  ip('netns', 'add', NAMESPACE)
  ip('link', 'add', 'sbx-out0', 'type', 'veth', 'peer', 'name', 'sbx-out1', 'netns', NAMESPACE)
  ip('address', 'add', '203.0.113.1/24', 'dev', 'sbx-out0')
  ip('link', 'set', 'sbx-out0', 'up')
  ip('-n', NAMESPACE, 'address', 'add', '203.0.113.2/24', 'dev', 'sbx-out1')
  ip('-n', NAMESPACE, 'address', 'add', '198.51.100.7/32', 'dev', 'lo')
  ip('-n', NAMESPACE, 'link', 'set', 'sbx-out1', 'up')
  ip('-n', NAMESPACE, 'link', 'set', 'lo', 'up')
  ip('route', 'add', '198.51.100.0/24', 'via', '203.0.113.2')
  const port = 8053
  const server = spawn('ip', ['netns', 'exec', NAMESPACE, process.execPath, '-e', PROGRAM, String(port)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await new Promise<void>((resolve, reject) => {
    server.stdout.once('data', () => resolve())
    server.once('exit', (code) => reject(new Error(`the server outside ended with ${code}`)))
  })
  return {
    address: '198.51.100.7',
    port,
    hostAddress: '203.0.113.1',
    neighbour: '203.0.113.2',
    async close() {
      await ended(server)
      remove()
    },
  }
}

/** A server on every address of this machine, which counts who comes. */
export async function listenEverywhere(host = '0.0.0.0'): Promise<{ port: number; visits(): number; server: Server }> {
  let visits = 0
  const server = createServer((socket) => {
    visits += 1
    socket.on('error', () => undefined)
    socket.end('inside\n')
  })
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  return { port: (server.address() as AddressInfo).port, visits: () => visits, server } // a port was asked for
}

/** Every IPv4 address of this machine. */
export function ownAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((infos) => infos ?? [])
    .flatMap((info) => (info.family === 'IPv4' ? [info.address] : []))
}

async function ended(child: ChildProcess): Promise<void> {
  const end = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await end
}
