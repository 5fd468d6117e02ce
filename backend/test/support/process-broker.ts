import { spawn, type ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { nodeContainerCallSchemas, type NodeContainerRequest } from '../../src/domain/node-container.js'
import { nodeRunDir, type Layout } from '../../src/domain/layout.js'
import { EngineError } from '../../src/hosts/engine.js'
import type { BrokerClient } from '../../src/hosts/broker-client.js'

const PROGRAM = readFileSync(join(import.meta.dirname, '../../../docker/node'), 'utf8')

/** The broker's four calls without Docker: the program of a node's container runs as a process, with the same user. */
export interface ProcessBroker extends BrokerClient {
  /** What was made, newest last, whatever became of it. */
  made: NodeContainerRequest<'create'>[]
  asked: string[]
  /** Of the QEMU in a container that runs. */
  pidOf(node: string): number
  running(): string[]
  /** Nobody answers any more; what runs goes on. */
  goAway(): void
  comeBack(): void
}

interface Container {
  request: NodeContainerRequest<'create'>
  child: ChildProcess | undefined
}

export function createProcessBroker(layout: Layout, dataDir: string): ProcessBroker {
  const containers = new Map<string, Container>()
  const made: ProcessBroker['made'] = []
  const asked: string[] = []
  let isAway = false

  const isRunning = (node: string) => {
    const child = containers.get(node)?.child
    return child !== undefined && child.exitCode === null && child.signalCode === null
  }
  async function end(node: string, signal: NodeJS.Signals, thenKillAfterMs?: number): Promise<void> {
    const child = containers.get(node)?.child
    if (!child || !isRunning(node)) return
    const exited = new Promise((resolve) => child.once('exit', resolve))
    child.kill(signal)
    const timer =
      thenKillAfterMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), thenKillAfterMs).unref()
    await exited
    clearTimeout(timer)
  }
  function start(node: string): void {
    const container = containers.get(node)
    if (!container) throw new EngineError('engine', 'There is no container of this node.')
    if (isRunning(node)) return
    const { uid } = container.request
    const child = spawn('bash', ['-c', PROGRAM, 'node', nodeRunDir(layout, node)], {
      cwd: dataDir,
      stdio: 'ignore',
      detached: true,
      uid,
      gid: uid,
    })
    container.child = child
    child.once('exit', () => {
      if (containers.get(node) === container) containers.delete(node) // as Docker does with AutoRemove
    })
  }

  return {
    made,
    asked,
    pidOf(node) {
      const pid = containers.get(node)?.child?.pid
      if (pid === undefined || !isRunning(node)) throw new Error('no such container runs')
      return pid
    },
    running: () => [...containers.keys()].filter(isRunning),
    goAway: () => void (isAway = true),
    comeBack: () => void (isAway = false),
    async ask(call, body) {
      if (isAway) throw new EngineError('engine', 'The broker does not answer.', { retry: true })
      asked.push(call)
      nodeContainerCallSchemas[call].parse(body) // as the real one does
      const { node } = body
      if (call === 'start') start(node)
      else if (call === 'stop') await end(node, 'SIGTERM', 1000 * (body as NodeContainerRequest<'stop'>).seconds)
      else if (call === 'remove') {
        await end(node, 'SIGKILL')
        containers.delete(node)
      } else {
        if (isRunning(node)) throw new EngineError('locked', 'A container of this node runs already.')
        const request = body as NodeContainerRequest<'create'>
        containers.set(node, { request, child: undefined })
        made.push(request)
      }
    },
    fault: async () => (isAway ? 'The broker does not answer.' : undefined),
  }
}
