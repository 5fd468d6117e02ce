import { afterEach, describe, expect, it } from '@jest/globals'
import { type ChildProcess, spawn } from 'node:child_process'
import { readdir, readFile, readlink } from 'node:fs/promises'
import { createServer } from 'node:net'
import { type Identity, workerIdentity } from '../../src/system/identity.js'
import { type Inside, raiseLoopback, separated, startInNetwork } from '../../src/system/network-namespace.js'
import { openNetworkPipe } from '../../src/system/network-pipe.js'
import { untilSeen } from '../support/until.js'

const PORT = 20_022
/** Listens in a network of its own and gives back what it is told. */
const ECHO = `require('node:net').createServer((socket) => socket.pipe(socket).on('error', () => {})).listen(${PORT}, '127.0.0.1')`

const children: ChildProcess[] = []
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

function start({ program, args, identity }: ReturnType<typeof separated>): number {
  const child = spawn(program, args, {
    cwd: '/',
    stdio: 'ignore',
    ...(identity ? { uid: identity.uid, gid: identity.gid } : {}),
  })
  children.push(child)
  return child.pid!
}

const networkOf = (pid: number | string) => readlink(`/proc/${pid}/ns/net`).catch(() => '')

async function newNetwork(way: 'root' | 'user', identity: Identity | undefined): Promise<Inside> {
  const pid = start(separated(way, { program: 'sleep', args: ['600'], identity }))
  const isSleeping = async () => (await readFile(`/proc/${pid}/cmdline`, 'utf8')).startsWith('sleep')
  await untilSeen('a network of its own', isSleeping)
  return { way, pid, identity }
}

async function processesIn(network: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const networks = await Promise.all(pids.map(networkOf))
  return pids.filter((_pid, at) => networks[at] === network)
}

// As a user in a container, and as root outside of one.
describe.each(['root', 'user'] as const)('a pipe into a network that was made in the way of %s', (way) => {
  it('carries bytes both ways, has no rights, and leaves nothing when it is closed', async () => {
    const inside = await newNetwork(way, workerIdentity())
    await raiseLoopback(inside)
    start(startInNetwork(inside, process.execPath, ['-e', ECHO]))
    const echoed = async () => {
      const pipe = await openNetworkPipe(inside, PORT)
      const heard = new Promise<string>((resolve) => {
        pipe.once('data', (chunk: Buffer) => resolve(chunk.toString()))
        pipe.once('close', () => resolve(''))
      })
      pipe.write('hällo')
      const text = await heard
      return text === '' ? undefined : { pipe, text }
    }
    const { pipe, text } = await untilSeen('an echo', echoed)
    expect(text).toBe('hällo')

    const network = await networkOf(inside.pid)
    const ours = (await processesIn(network)).filter((pid) => pid !== String(inside.pid))
    expect(ours.length).toBeGreaterThanOrEqual(3)
    for (const pid of ours) {
      const status = await readFile(`/proc/${pid}/status`, 'utf8')
      expect(status).toMatch(/^CapEff:\t0{16}$/m)
      expect(status).toMatch(/^NoNewPrivs:\t1$/m)
      if (process.getuid?.() === 0) expect(status).not.toMatch(/^Uid:\t0\t/m)
    }
    pipe.destroy()
    await untilSeen('only the network and its listener', async () => (await processesIn(network)).length === 2)
  })

  it('ends when nobody listens', async () => {
    const inside = await newNetwork(way, workerIdentity())
    await raiseLoopback(inside)
    const pipe = await openNetworkPipe(inside, PORT)
    await new Promise((resolve) => pipe.resume().once('close', resolve))
    expect(await processesIn(await networkOf(inside.pid))).toEqual([String(inside.pid)])
  })
})

describe('a pipe into our own network', () => {
  it('ends before it has connected to anything', async () => {
    const heard: string[] = []
    const server = createServer(() => heard.push('somebody came'))
    await new Promise<void>((resolve) => server.listen(PORT, '127.0.0.1', resolve))
    try {
      const pid = start({ program: 'sleep', args: ['600'], identity: undefined })
      const pipe = await openNetworkPipe({ way: 'root', pid, identity: undefined }, PORT)
      await new Promise((resolve) => pipe.resume().once('close', resolve))
      expect(heard).toEqual([])
    } finally {
      server.close()
    }
  })
})
