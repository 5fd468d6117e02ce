import type { Command } from 'commander'
import { z } from 'zod'
import { SandlabError } from '../domain/error.js'
import type { NodeView } from '../domain/node.js'
import type { SnapshotView } from '../domain/snapshot.js'
import { formatBytes } from '../domain/units.js'
import { nodeAnswer, operationAnswer } from './answers.js'
import type { Client } from './client.js'
import { downloadFile } from './download.js'
import { followOperation, shortId } from './follow-operation.js'
import type { Io } from './io.js'
import { findNode } from './names.js'
import { collect, wholeNumber } from './option-values.js'
import { sayNext } from './output.js'
import { askWithPlans, requireAnswer } from './plan-question.js'
import { dryRun } from './plan-view.js'
import { noOptions, verb, type Run } from './run.js'
import { markedRows, scheduleWords, SNAPSHOT_COLUMNS, snapshotRow } from './snapshot-views.js'
import { snapshotAnswer, snapshotsAnswer } from './storage-answers.js'

const EXAMPLES = `
Examples:
  sandlabx snapshot web create monday --note 'before the upgrade'
  sandlabx snapshot web create root monday       only the disk "root"
  sandlabx snapshot web create now --memory      comes back at the same screen
  sandlabx snapshot web ls
  sandlabx snapshot web restore monday
  sandlabx snapshot web export monday web.qcow2
  sandlabx snapshot web schedule --hourly 24 --daily 7`

/** snapshot NODE create, ls, restore, delete, export, rename, note, schedule. */
export function addSnapshotCommands(program: Command, io: Io): void {
  const snapshot = program
    .command('snapshot')
    .alias('snapshots')
    .description("a node's disks as they are at one moment")
    .usage('<node> <what> [options]')
    .helpCommand(false)
    .addHelpText('after', EXAMPLES)
  const add = (name: string, rest: string, description: string) =>
    snapshot
      .command(`${name} <node>${rest}`)
      .description(description)
      .configureHelp({ commandUsage: () => `sandlabx snapshot <node> ${name}${rest} [options]` })
  snapshot.configureHelp({ subcommandTerm: (command) => `<node> ${command.name()}` })
  add('create', ' <name...>', 'take one, of a running node too: [DRIVE] NAME')
    .option('--note <text>', 'what it is for')
    .option('--memory', 'of a running node: its memory, too, so that it comes back at the same screen')
    .option('--freeze', "the guest's agent writes everything out first")
    .option('--drive <id>', 'only this disk; may be given several times', collect)
    .option('--dry-run', 'show what would be done, and do nothing')
    .action(verb(io, createSchema, create))
  add('ls', '', 'list them, newest first; ● is the one that the disks stand on')
    .alias('list')
    .action(verb(io, noOptions, list))
  add('restore', ' <name>', 'give the node its disks as they were; what is there now moves to the trash')
    .option('--drive <id>', 'only this disk; may be given several times', collect)
    .option('--now', 'switch a running node off without asking the guest')
    .option('--force', 'do not ask')
    .option('--dry-run', 'show what would be done, and do nothing')
    .action(verb(io, restoreSchema, restore))
  add('delete', ' <name>', 'delete one; the disks that stand on it stay as they are')
    .alias('rm')
    .option('--force', 'do not ask')
    .option('--dry-run', 'show what would be done, and do nothing')
    .action(verb(io, deleteSchema, remove))
  add('export', ' <words...>', 'save one as a disk file of its own: [DRIVE] NAME FILE')
    .option('--force', 'replace the file where it is there already')
    .action(verb(io, z.object({ force: z.boolean().default(false) }), exportTo))
  add('rename', ' <name> <new-name>', 'give it another name').action(
    verb(io, noOptions, (run, _options, node: string, name: string, newName: string) =>
      change(run, node, name, { name: newName }, `${name} is now called ${newName}.`),
    ),
  )
  add('note', ' <name> <text>', 'say what it is for').action(
    verb(io, noOptions, (run, _options, node: string, name: string, note: string) =>
      change(run, node, name, { note }, `The note of ${name} is changed.`),
    ),
  )
  add('schedule', '', 'automatic snapshots; without an option what is set')
    .option('--hourly <number>', 'how many of one an hour are kept; 0: none is taken', wholeNumber)
    .option('--daily <number>', 'of one a day', wholeNumber)
    .option('--weekly <number>', 'of one a week', wholeNumber)
    .option('--off', 'none')
    .option('--inherit', "as the lab's settings say")
    .action(verb(io, scheduleSchema, schedule))
}

const createSchema = z.object({
  note: z.string().optional(),
  memory: z.boolean().optional(),
  freeze: z.boolean().optional(),
  drive: z.array(z.string()).optional(),
  dryRun: z.boolean().default(false),
})

async function create(run: Run, options: z.infer<typeof createSchema>, node: string, words: string[]): Promise<void> {
  const { name, drives } = nameAndDrives(words, options.drive)
  const client = await run.client()
  const { id } = await findNode(client, node)
  const path = `/api/nodes/${id}/snapshots`
  const { note, memory, freeze } = options
  const body = { name, note, drives, memory, freeze }
  if (options.dryRun) return dryRun(run, 'POST', path, body)
  const started = await client.send('POST', path, body, operationAnswer)
  const operation = await followOperation(run.io, client, started.operation)
  run.output.done(`The snapshot ${name} of ${node} is taken.`, { operation })
}

/** `monday`, or `root monday`. */
function nameAndDrives(words: readonly string[], drives: string[] | undefined) {
  const [first = '', second, ...more] = words
  if (more.length > 0 || (second !== undefined && drives !== undefined)) {
    throw new SandlabError('bad_request', 'Give the name of the snapshot, and before it at most one disk.', {
      hint: 'sandlabx snapshot NODE create [DRIVE] NAME, or --drive for each of several.',
    })
  }
  return second === undefined ? { name: first, drives } : { name: second, drives: [first] }
}

async function list(run: Run, _options: unknown, name: string): Promise<void> {
  const client = await run.client()
  const node = await findNode(client, name)
  const answer = await client.get(`/api/nodes/${node.id}/snapshots`, snapshotsAnswer)
  const { snapshots } = answer
  const onTerminal = run.io.stdout.isTTY === true
  const columns = SNAPSHOT_COLUMNS.map((column, at) => (at === 0 && onTerminal ? `  ${column}` : column))
  const rows = onTerminal ? markedRows(snapshots) : snapshots.map((one) => snapshotRow(one, snapshots))
  run.output.table(columns, rows, answer, SNAPSHOT_COLUMNS.indexOf('NOTE'))
  if (snapshots.length === 0 && onTerminal) sayNext(run, `Take one: sandlabx snapshot ${name} create NAME`)
}

interface Found {
  client: Client
  node: NodeView
  snapshot: SnapshotView
  path: string
}

async function find(run: Run, nodeName: string, name: string): Promise<Found> {
  const client = await run.client()
  const node = await findNode(client, nodeName)
  const { snapshots } = await client.get(`/api/nodes/${node.id}/snapshots`, snapshotsAnswer)
  const snapshot = snapshots.find((one) => one.name === name || one.id === name)
  if (snapshot) return { client, node, snapshot, path: `/api/nodes/${node.id}/snapshots/${snapshot.id}` }
  throw new SandlabError('not_found', `${node.name} has no snapshot "${name}".`, {
    hint: `List them with "sandlabx snapshot ${nodeName} ls".`,
  })
}

const restoreSchema = z.object({
  drive: z.array(z.string()).optional(),
  now: z.boolean().default(false),
  force: z.boolean().default(false),
  dryRun: z.boolean().default(false),
})

async function restore(
  run: Run,
  options: z.infer<typeof restoreSchema>,
  nodeName: string,
  name: string,
): Promise<void> {
  const doing = `Restoring ${nodeName}`
  requireAnswer(run, options, doing)
  const { client, path } = await find(run, nodeName, name)
  const body = { drives: options.drive, ...(options.now ? { now: true } : {}) }
  const request = { method: 'POST' as const, path: `${path}/restore`, body }
  const question = { question: `Restore ${nodeName} to ${name}?`, doing }
  if (!(await askWithPlans(run, client, [request], options, question))) return
  const started = await client.send('POST', request.path, body, operationAnswer)
  const operation = await followOperation(run.io, client, started.operation)
  run.output.done(`${nodeName} is as it was in ${name}.`, { operation })
  sayNext(run, `Bring back what was there: sandlabx undo ${shortId(operation.id)}`)
}

const deleteSchema = z.object({ force: z.boolean().default(false), dryRun: z.boolean().default(false) })

async function remove(run: Run, options: z.infer<typeof deleteSchema>, nodeName: string, name: string): Promise<void> {
  const doing = `Deleting the snapshot ${name}`
  requireAnswer(run, options, doing)
  const { client, path } = await find(run, nodeName, name)
  const question = { question: `Delete the snapshot ${name} of ${nodeName}?`, doing }
  if (!(await askWithPlans(run, client, [{ method: 'DELETE', path }], options, question))) return
  const started = await client.send('DELETE', path, undefined, operationAnswer)
  const operation = await followOperation(run.io, client, started.operation)
  run.output.done(`The snapshot ${name} of ${nodeName} is deleted.`, { operation })
}

async function exportTo(run: Run, options: { force: boolean }, nodeName: string, words: string[]): Promise<void> {
  const [name = '', drive, file] = words.length === 3 ? [words[1], words[0], words[2]] : [words[0], 'root', words[1]]
  if (file === undefined || words.length > 3) {
    throw new SandlabError('bad_request', 'Give the name of the snapshot and the file to save it in.', {
      hint: 'sandlabx snapshot NODE export [DRIVE] NAME FILE',
    })
  }
  const { client, path } = await find(run, nodeName, name)
  const target = { file, replace: options.force }
  const query = new URLSearchParams({ drive: drive ?? 'root' })
  const { bytes, sha256 } = await downloadFile(run.io, client, `${path}/export?${query.toString()}`, target)
  run.output.done(`The snapshot ${name} of ${nodeName} is in ${file} (${formatBytes(bytes)}).`, { file, bytes, sha256 })
}

async function change(
  run: Run,
  nodeName: string,
  name: string,
  wanted: { name: string } | { note: string },
  sentence: string,
): Promise<void> {
  const { client, path } = await find(run, nodeName, name)
  run.output.done(sentence, await client.send('PATCH', path, wanted, snapshotAnswer))
}

const scheduleSchema = z.object({
  hourly: z.number().optional(),
  daily: z.number().optional(),
  weekly: z.number().optional(),
  off: z.boolean().default(false),
  inherit: z.boolean().default(false),
})

async function schedule(run: Run, options: z.infer<typeof scheduleSchema>, name: string): Promise<void> {
  const { hourly, daily, weekly, off, inherit } = options
  const isGiven = [hourly, daily, weekly].some((count) => count !== undefined)
  if ([isGiven, off, inherit].filter(Boolean).length > 1) {
    throw new SandlabError('bad_request', 'Give numbers, or --off, or --inherit.')
  }
  const client = await run.client()
  const node = await findNode(client, name)
  if (!isGiven && !off && !inherit) return tellSchedule(run, node)
  // What is not said is none: the whole schedule is what the command line says.
  const kept = { hourly: hourly ?? 0, daily: daily ?? 0, weekly: weekly ?? 0 }
  const body = { schedule: inherit ? null : kept }
  const answer = await client.send('PUT', `/api/nodes/${node.id}/snapshot-schedule`, body, nodeAnswer)
  tellSchedule(run, answer.node)
}

function tellSchedule(run: Run, node: NodeView): void {
  const { name, snapshotSchedule } = node
  const words = snapshotSchedule === null ? "as the lab's settings say" : scheduleWords(snapshotSchedule)
  run.output.done(`${name}: ${words}.`, { node })
}
