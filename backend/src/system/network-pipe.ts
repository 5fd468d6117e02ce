import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { readlink } from 'node:fs/promises'
import { Duplex, type Readable, type Writable } from 'node:stream'
import { childEnvironment } from './command-environment.js'
import { startInNetwork, type Inside } from './network-namespace.js'

/**
 * Connects standard input and output to a port of 127.0.0.1. When the connection has ended, so has the output; when the
 * input has, also because we were killed, so has the connection. Never in our own network, whatever was entered.
 */
const PIPE = `
[ "$(readlink /proc/self/ns/net)" != "$2" ] || exit 1
exec 3<>/dev/tcp/127.0.0.1/"$1" || exit 1
cat <&3 &
reader=$!
exec >&-
cat >&3
kill "$reader"
`

/**
 * A TCP connection to a port on the loopback of the network in which a process is, as a stream. It is made by a shell and
 * two `cat` in that network, without rights. The stream ends when there is no such port; it never emits `error`.
 */
export async function openNetworkPipe(inside: Inside, port: number): Promise<Duplex> {
  const own = await readlink('/proc/self/ns/net')
  const { program, args, identity } = startInNetwork(inside, 'bash', ['--norc', '-c', PIPE, 'pipe', String(port), own])
  const child = spawn(program, args, {
    cwd: '/',
    env: childEnvironment(),
    stdio: ['pipe', 'pipe', 'ignore'],
    detached: true, // a group of its own, to be ended as one
    ...(identity ? { uid: identity.uid, gid: identity.gid } : {}),
  })
  return new ChildStream(child)
}

type Child = ChildProcessByStdio<Writable, Readable, null>

class ChildStream extends Duplex {
  readonly #child: Child

  constructor(child: Child) {
    super({ allowHalfOpen: false })
    this.#child = child
    const { stdin, stdout } = this.#child
    stdout.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) stdout.pause()
    })
    stdout.on('end', () => this.push(null))
    for (const part of [child, stdin, stdout]) part.on('error', () => this.destroy())
    child.once('exit', () => stdin.destroy())
  }

  override _read(): void {
    this.#child.stdout.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.#child.stdin.destroyed) return done() // its end is told by the other half
    this.#child.stdin.write(chunk, () => done())
  }

  override _final(done: () => void): void {
    this.#child.stdin.end(() => done())
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#child.stdin.destroy()
    this.#child.stdout.destroy()
    endGroup(this.#child)
    done(error)
  }
}

/** The shell is the last of its group to end. */
function endGroup({ pid, exitCode, signalCode }: Child): void {
  if (pid === undefined || exitCode !== null || signalCode !== null) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // it has ended
  }
}
