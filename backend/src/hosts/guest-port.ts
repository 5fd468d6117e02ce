import type { Duplex } from 'node:stream'
import { z } from 'zod'
import type { QmpClient } from '../system/qmp.js'
import { EngineError } from './engine.js'
import type { EngineContext, Run } from './run.js'

/** Ways into the networks of guests. */
export interface GuestPorts {
  /** See `NodeEngine.connectGuest`. */
  connect(run: Run, port: number): Promise<Duplex>
}

/** In the QEMU's own network: nobody else has a port there, and its user may open none below 1024. */
const LOCAL_PORT_OFFSET = 20_000

/**
 * QEMU itself connects to its guest (`hostfwd`), from a port that it opens on the loopback of its own network. That
 * network is no other process's, so the port is no way to anything else, and nothing but a process that we put there
 * reaches it. The port stays open as long as this QEMU runs.
 */
export function createGuestPorts(context: EngineContext): GuestPorts {
  const opened = new WeakMap<Run, Map<number, Promise<void>>>()

  function open(run: Run, port: number): Promise<void> {
    const ports = opened.get(run) ?? new Map<number, Promise<void>>()
    opened.set(run, ports)
    const known = ports.get(port)
    if (known) return known
    const opening = forward(run, port).catch((error: unknown) => {
      ports.delete(port)
      throw error
    })
    ports.set(port, opening)
    return opening
  }

  return {
    async connect(run, port) {
      if (run.ending) throw new EngineError('not-found', 'The node is not running.')
      const connectTo = await context.housing.wayToLoopback(run)
      await open(run, port)
      return connectTo(localPort(port))
    },
  }
}

async function forward(run: Run, port: number): Promise<void> {
  const { qmp } = run
  if (!qmp) throw new EngineError('host-unknown', 'QEMU does not answer.', { retry: true })
  const said = await monitor(qmp, `hostfwd_add net0 tcp:127.0.0.1:${localPort(port)}-:${port}`)
  if (said === '') return
  // A backend before us may have opened it.
  if (isForwarded(await monitor(qmp, 'info usernet'), port)) return
  throw new EngineError('engine', `QEMU opened no way to its guest's port ${port}: ${said}`)
}

/** Whether `info usernet` lists the port: `TCP[HOST_FORWARD] 12 127.0.0.1 20022 10.0.2.15 22 0 0`. Pure. */
export function isForwarded(usernet: string, port: number): boolean {
  return new RegExp(`HOST_FORWARD\\]\\s+\\d+\\s+127\\.0\\.0\\.1\\s+${localPort(port)}\\s`).test(usernet)
}

/** QMP has no command of its own for this. */
async function monitor(qmp: QmpClient, commandLine: string): Promise<string> {
  const said = await qmp.execute('human-monitor-command', z.string().max(100_000), { 'command-line': commandLine })
  return said.trim()
}

function localPort(port: number): number {
  return LOCAL_PORT_OFFSET + port
}
