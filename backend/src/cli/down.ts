import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import type { Command } from 'commander'
import { z } from 'zod'
import { SandlabError } from '../domain/error.js'
import { pidFile, type Layout } from '../domain/layout.js'
import { nodeAllows, type NodeView } from '../domain/node.js'
import { nodeAnswer, nodesAnswer } from './answers.js'
import { startBackend, STOP_TIMEOUT_MS } from './backend-process.js'
import { createClient, type Client } from './client.js'
import { localTarget } from './credentials.js'
import type { Io } from './io.js'
import { isBackendProcess, localLayout, readRunningBackend } from './local-backend.js'
import { startProgress } from './progress.js'
import { verb, type Run } from './run.js'
import { countNodes } from './text.js'

/** down: shuts nodes down cleanly, or suspends them, then stops the backend of this machine. */
export function addDownCommand(program: Command, io: Io): void {
  program
    .command('down')
    .description('shut all nodes down cleanly and stop SandLabX here')
    .option('--now', 'switch nodes off at once, without asking the guests')
    .option('--suspend', 'save their memory instead: they go on at the next start of SandLabX')
    .action(verb(io, downOptionsSchema, down))
}

const downOptionsSchema = z
  .object({ now: z.boolean().default(false), suspend: z.boolean().default(false) })
  .refine(({ now, suspend }) => !(now && suspend), 'Give either --now or --suspend.')
type DownOptions = z.infer<typeof downOptionsSchema>

const STOPS_AT_ONCE = 8
/** More only make each one slower. */
const SUSPENDS_AT_ONCE = 2
const POLL_MS = 50

async function down(run: Run, options: DownOptions): Promise<void> {
  const { io } = run
  const layout = localLayout(io, run.dataDir)
  const running = (await readRunningBackend(layout, io.serverScript)) ?? (await startForNodesLeft(run, layout))
  if (!running) {
    run.output.done('SandLabX is not running.', { stopped: false, nodes: [] })
    return
  }
  const client = createClient(await localTarget(io, run.dataDir))
  const nodes = await nodesToStop(client, layout)
  const stopped = await stopNodes(run, client, nodes, options)
  await stopBackend(io, running.pid)
  const how = options.suspend ? 'suspended' : 'shut down'
  const before = stopped.length === 0 ? 'no node was running' : `${countNodes(stopped.length)} ${how} before`
  run.output.done(`SandLabX is stopped; ${before}.`, {
    stopped: true,
    nodes: stopped.map(({ id, name }) => ({ id, name })),
  })
}

/**
 * Ctrl-C leaves nodes running, and only a backend may end them: it knows them by their UUID. So one is started for
 * the time of the shut-down.
 */
async function startForNodesLeft(run: Run, layout: Layout): Promise<{ pid: number } | undefined> {
  if (!(await someQemuRuns(layout))) return undefined
  const progress = startProgress(run.io, 'Nodes run without a backend: starting it to shut them down')
  try {
    const options = { dataDir: run.dataDir, layout, host: '127.0.0.1', port: 0 }
    const backend = await startBackend(run.io, options, new AbortController().signal)
    backend.release()
    progress.succeed('Found the nodes that were left running')
    return backend
  } catch (error) {
    progress.clear()
    throw error
  }
}

async function someQemuRuns(layout: Layout): Promise<boolean> {
  const folders = await readdir(layout.run, { withFileTypes: true }).catch(() => [])
  for (const folder of folders.filter((entry) => entry.isDirectory())) {
    const pid = await readFile(pidFile(`${layout.run}/${folder.name}`), 'utf8').catch(() => '')
    if (!/^\d+\s*$/.test(pid)) continue
    const commandLine = await readFile(`/proc/${pid.trim()}/cmdline`, 'utf8').catch(() => '')
    if (commandLine.includes('qemu-system')) return true
  }
  return false
}

/** A backend that can't name its nodes may still be stopped, as long as none runs; else they would be left behind. */
async function nodesToStop(client: Client, layout: Layout): Promise<NodeView[]> {
  try {
    const { nodes } = await client.get('/api/nodes', nodesAnswer)
    return nodes.filter((node) => nodeAllows('stop', node.status))
  } catch (error) {
    if (!(error instanceof SandlabError)) throw error
    if (!(await someQemuRuns(layout))) return []
    throw new SandlabError(error.code, `The nodes that run can't be shut down: ${error.message}`, {
      hint: 'See "sandlabx doctor"; SandLabX was left as it is.',
      cause: error,
    })
  }
}

async function stopNodes(run: Run, client: Client, waiting: NodeView[], options: DownOptions): Promise<NodeView[]> {
  const doing = options.suspend ? 'Suspending' : 'Shutting down'
  const stopped: NodeView[] = []
  const failed: string[] = []
  const queue = [...waiting]
  const progress = waiting.length > 0 ? startProgress(run.io, `${doing} ${countNodes(waiting.length)}`) : undefined
  const worker = async () => {
    for (let node = queue.shift(); node; node = queue.shift()) {
      try {
        stopped.push(await leave(run, client, node, options))
      } catch (error) {
        failed.push(`${node.name}: ${error instanceof Error ? error.message : String(error)}`)
      }
      const share = (stopped.length + failed.length) / waiting.length
      const figures = [`${stopped.length} of ${waiting.length}`]
      progress?.update({ words: `${doing} ${countNodes(waiting.length)}`, share, figures })
    }
  }
  await Promise.all(Array.from({ length: options.suspend ? SUSPENDS_AT_ONCE : STOPS_AT_ONCE }, worker))
  if (failed.length === 0) {
    progress?.succeed(`${options.suspend ? 'Suspended' : 'Shut down'} ${countNodes(stopped.length)}`)
    return stopped
  }
  progress?.fail(`${failed.length} of ${waiting.length} nodes could not be shut down`)
  const message = `SandLabX goes on running, because nodes could not be shut down: ${failed.join('; ')}`
  throw new SandlabError('engine_failed', message, { hint: 'Look at them, or run "sandlabx down --now".' })
}

/** A node whose memory can't be saved is shut down cleanly. */
async function leave(run: Run, client: Client, node: NodeView, { now, suspend }: DownOptions): Promise<NodeView> {
  const post = async (verb: string, body: object) =>
    (await client.send('POST', `/api/nodes/${node.id}/${verb}`, body, nodeAnswer)).node
  if (!suspend) return post('stop', { now })
  try {
    return await post('suspend', { resumeAtStart: true })
  } catch (error) {
    if (!(error instanceof SandlabError)) throw error
    run.io.stderr.write(`${node.name} is shut down instead: ${error.message}\n`)
    return post('stop', { now: false })
  }
}

async function stopBackend(io: Io, pid: number): Promise<void> {
  const progress = startProgress(io, 'Stopping the backend')
  // Looked at again right before the signal: it must never reach a process that only took over the number.
  if (await isBackendProcess(pid, io.serverScript)) sendTerm(pid)
  const deadline = Date.now() + STOP_TIMEOUT_MS
  while (await isBackendProcess(pid, io.serverScript)) {
    if (Date.now() > deadline) {
      progress.clear()
      throw new SandlabError('internal', `The backend (process ${pid}) does not stop.`, {
        hint: `Nodes are down already. End it with "kill -9 ${pid}".`,
      })
    }
    await pause(POLL_MS)
  }
  progress.succeed('The backend is stopped')
}

function sendTerm(pid: number): void {
  try {
    process.kill(pid, 'SIGTERM')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return // it ended in between, which is what we want
    throw new SandlabError('not_allowed', `You may not stop the backend (process ${pid}).`, {
      hint: 'Run this as the user who started it.',
      cause: error,
    })
  }
}
