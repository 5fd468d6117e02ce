import { writeFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { z } from 'zod'
import { SandlabError } from '../domain/error.js'
import type { NodeView } from '../domain/node.js'
import { eventsAnswer, nodeAnswer, nodesAnswer } from './answers.js'
import type { Io } from './io.js'
import { findNode, findNodes } from './names.js'
import { NODE_COLUMNS, nodeRow } from './node-views.js'
import { startProgress } from './progress.js'
import { noOptions, verb, type Run } from './run.js'
import { localTime, printable } from './text.js'

/** ls, start, stop, restart, suspend, resume, discard-memory, events, log, screenshot: what is done to nodes that exist. */
export function addNodeCommands(program: Command, io: Io): void {
  program
    .command('ls')
    .alias('list')
    .description('list the nodes that you can see')
    .action(verb(io, noOptions, list))
  program
    .command('start <node...>')
    .description('start nodes')
    .action(verb(io, noOptions, (run, _options, names: string[]) => power(run, START, names)))
  program
    .command('stop <node...>')
    .description('shut nodes down; the guest is asked first')
    .option('--now', 'switch off at once, without asking the guest')
    .action(
      verb(io, z.object({ now: z.boolean().default(false) }), (run, { now }, names: string[]) =>
        power(run, { ...STOP, body: { now } }, names),
      ),
    )
  program
    .command('restart <node...>')
    .description('press the reset button of running nodes')
    .action(verb(io, noOptions, (run, _options, names: string[]) => power(run, RESTART, names)))
  program
    .command('suspend <node...>')
    .description('save the memory of running nodes and end their machines; a start goes on from there')
    .action(verb(io, noOptions, (run, _options, names: string[]) => power(run, SUSPEND, names)))
  program
    .command('resume <node...>')
    .description('let suspended or paused nodes go on')
    .action(verb(io, noOptions, (run, _options, names: string[]) => power(run, RESUME, names)))
  program
    .command('discard-memory <node...>')
    .description('move the memory of suspended nodes to the trash; their disks are then as after a power cut')
    .option('--start', 'start them from their disks')
    .action(
      verb(io, z.object({ start: z.boolean().default(false) }), (run, { start }, names: string[]) =>
        power(run, { ...DISCARD, body: { start } }, names),
      ),
    )
  program
    .command('events <node>')
    .description("show a node's history, newest first")
    .action(verb(io, noOptions, events))
  program
    .command('log <node>')
    .description('print the newest serial output')
    .option('--raw', 'with its escape sequences, also on a terminal')
    .action(verb(io, z.object({ raw: z.boolean().default(false) }), serialLog))
  program
    .command('screenshot <node> <file>')
    .description("save a running node's screen as PNG")
    .action(verb(io, noOptions, screenshot))
}

async function list(run: Run): Promise<void> {
  const answer = await (await run.client()).get('/api/nodes', nodesAnswer)
  run.output.table(NODE_COLUMNS, answer.nodes.map(nodeRow), answer)
  if (answer.nodes.length === 0 && run.io.stdout.isTTY && !run.output.json) {
    run.io.stderr.write('No nodes yet. Make one: sandlabx create my-node --image tiny --start\n')
  }
}

interface PowerAction {
  path: 'start' | 'stop' | 'restart' | 'suspend' | 'resume' | 'discard-memory'
  doing: string
  body?: Record<string, unknown>
}
const START: PowerAction = { path: 'start', doing: 'Starting' }
const STOP: PowerAction = { path: 'stop', doing: 'Stopping' }
const RESTART: PowerAction = { path: 'restart', doing: 'Restarting' }
const SUSPEND: PowerAction = { path: 'suspend', doing: 'Suspending' }
const RESUME: PowerAction = { path: 'resume', doing: 'Resuming' }
const DISCARD: PowerAction = { path: 'discard-memory', doing: 'Discarding the memory of' }

/** One after the other, in the order given; all are tried, and the first failure decides the exit code. */
async function power(run: Run, action: PowerAction, names: string[]): Promise<void> {
  const client = await run.client()
  const nodes: NodeView[] = []
  const failures: SandlabError[] = []
  for (const { id, name } of await findNodes(client, names)) {
    const progress = startProgress(run.io, `${action.doing} ${name}`)
    try {
      const { node } = await client.send('POST', `/api/nodes/${id}/${action.path}`, action.body ?? {}, nodeAnswer)
      nodes.push(node)
      progress.succeed(`${name} is ${node.status}`)
    } catch (error) {
      if (!(error instanceof SandlabError)) throw error
      progress.clear()
      failures.push(error)
      if (names.length > 1) run.io.stderr.write(`${name}: ${error.message}\n`)
    }
  }
  if (run.output.json) run.output.done('', { nodes })
  if (failures[0] && names.length === 1) throw failures[0]
  if (failures[0]) {
    const summary = `${failures.length} of ${names.length} nodes could not ${action.path.replace('-', ' their ')}.`
    throw new SandlabError(failures[0].code, summary, { hint: failures[0].hint, cause: failures[0] })
  }
}

async function events(run: Run, _options: unknown, name: string): Promise<void> {
  const client = await run.client()
  const { id } = await findNode(client, name)
  const answer = await client.get(`/api/nodes/${id}/events`, eventsAnswer)
  const rows = answer.events.map((event) => [localTime(event.at), event.kind, event.actorLogin ?? '', event.text])
  run.output.table(['TIME', 'KIND', 'BY', 'WHAT'], rows, answer)
}

async function serialLog(run: Run, options: { raw: boolean }, name: string): Promise<void> {
  const client = await run.client()
  const { id } = await findNode(client, name)
  const response = await client.raw(`/api/nodes/${id}/serial-log`)
  const text = await response.text()
  if (run.output.json) run.output.done('', { log: text })
  else run.output.text(run.io.stdout.isTTY && !options.raw ? printable(text) : text)
}

async function screenshot(run: Run, _options: unknown, name: string, file: string): Promise<void> {
  const client = await run.client()
  const node = await findNode(client, name)
  const response = await client.raw(`/api/nodes/${node.id}/screenshot`)
  const png = Buffer.from(await response.arrayBuffer())
  try {
    await writeFile(file, png)
  } catch (error) {
    throw new SandlabError('bad_request', `The file ${file} can't be written.`, { cause: error })
  }
  run.output.done(`Saved the screen of ${node.name} in ${file}.`, { file, bytes: png.length })
}
