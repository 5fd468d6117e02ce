import type { Command } from 'commander'
import { z } from 'zod'
import { SandlabError } from '../domain/error.js'
import type { NodeView } from '../domain/node.js'
import type { DriveView } from '../domain/drive.js'
import { formatBytes, parseBytes } from '../domain/units.js'
import type { Client } from './client.js'
import { appliesWords, DRIVE_COLUMNS, driveRow } from './drive-views.js'
import type { Io } from './io.js'
import { findNode } from './names.js'
import { diskBytes, rate } from './option-values.js'
import { sayNext } from './output.js'
import { askWithPlans, requireAnswer } from './plan-question.js'
import { dryRun } from './plan-view.js'
import { noOptions, verb, type Run } from './run.js'
import { driveAnswer, drivesAnswer } from './storage-answers.js'
import { storagePath } from './storage-paths.js'

const EXAMPLES = `
Examples:
  sandlabx drive ls web
  sandlabx drive add web data --size 20G          made for the node, sparse
  sandlabx drive add web cdrom --path /srv/isos/tools.img --read-only
  sandlabx drive set web root --bps 20M --iops 500
  sandlabx drive grow web data 40G
  sandlabx drive move web data db                 to the node db
Changes are stored at once, whatever the node is doing; its guest has them from its next start on.`

/** drive ls, add, set, rm, grow, move: the disks of a node. */
export function addDriveCommands(program: Command, io: Io): void {
  const drive = program
    .command('drive')
    .alias('drives')
    .description('the disks of a node')
    .addHelpText('after', EXAMPLES)
  drive
    .command('ls <node>')
    .alias('list')
    .description('list them; "root" is the one that boots')
    .action(verb(io, noOptions, list))
  withSettings(drive.command('add <node> <id>').description('give a node a further disk'))
    .option('--size <size>', 'how large, like 20G; 10G unless told', diskBytes)
    .option('--path <file>', 'this file, instead of one that is made for the node')
    .option('--read-only', 'the guest can not write to it')
    .option('--dry-run', 'show what would be done, and do nothing')
    .action(verb(io, addSchema, add))
  withSettings(drive.command('set <node> <id>').description('change how the guest reaches a disk'))
    .option('--read-only', 'the guest can not write to it')
    .option('--no-read-only', 'the guest can write to it')
    .option('--dry-run', 'show what would be done, and do nothing')
    .action(verb(io, settingsSchema, set))
  drive
    .command('grow <node> <id> <size>')
    .description('make a disk of a stopped node larger: 40G, or +10G')
    .option('--dry-run', 'show what would be done, and do nothing')
    .action(verb(io, dryRunSchema, grow))
  drive
    .command('rm <node> <id>')
    .alias('delete')
    .description('take a disk away from a node; its file is kept unless told')
    .option('--delete-storage', 'move its file to the trash as well')
    .option('--force', 'do not ask')
    .option('--dry-run', 'show what would be done, and do nothing')
    .action(verb(io, removeSchema, remove))
  drive
    .command('move <node> <id> <to-node>')
    .description('give a disk with all that is on it to another node')
    .option('--as <id>', 'under another id there')
    .option('--dry-run', 'show what would be done, and do nothing')
    .action(verb(io, moveSchema, move))
}

function withSettings(command: Command): Command {
  return command
    .option('--cache <how>', 'writeback (the usual), none, or writethrough')
    .option('--io <engine>', 'threads (the usual), native (with cache none), or io_uring')
    .option('--bps <rate>', 'at most so many bytes a second, like 20M; off: no limit', rate)
    .option('--iops <rate>', 'at most so many operations a second; off: no limit', rate)
    .option('--burst-bps <rate>', 'for a moment so many bytes a second', rate)
    .option('--burst-iops <rate>', 'for a moment so many operations a second', rate)
}

const rateSchema = z
  .number()
  .transform((value) => (value === 0 ? null : value))
  .optional()
const settingsSchema = z.object({
  readOnly: z.boolean().optional(),
  cache: z.string().optional(),
  io: z.string().optional(),
  bps: rateSchema,
  iops: rateSchema,
  burstBps: rateSchema,
  burstIops: rateSchema,
  dryRun: z.boolean().default(false),
})
type SettingsOptions = z.infer<typeof settingsSchema>
const addSchema = settingsSchema.extend({ size: z.number().optional(), path: z.string().optional() })
const dryRunSchema = z.object({ dryRun: z.boolean().default(false) })

/** Only what was said; undefined when nothing was. */
function settingsOf({ readOnly, cache, io, bps, iops, burstBps, burstIops }: SettingsOptions) {
  const limits = {
    bytesPerSecond: bps,
    operationsPerSecond: iops,
    burstBytesPerSecond: burstBps,
    burstOperationsPerSecond: burstIops,
  }
  const hasLimits = Object.values(limits).some((limit) => limit !== undefined)
  return { readOnly, cache, io, limits: hasLimits ? limits : undefined }
}

async function list(run: Run, _options: unknown, name: string): Promise<void> {
  const client = await run.client()
  const { id } = await findNode(client, name)
  const answer = await client.get(`/api/nodes/${id}/drives`, drivesAnswer)
  const onTerminal = run.io.stdout.isTTY === true
  run.output.table(
    DRIVE_COLUMNS,
    answer.drives.map((drive) => driveRow(drive, onTerminal)),
    answer,
    DRIVE_COLUMNS.indexOf('FILE'),
  )
}

async function add(run: Run, options: z.infer<typeof addSchema>, name: string, id: string): Promise<void> {
  const client = await run.client()
  const node = await findNode(client, name)
  const path = options.path === undefined ? undefined : storagePath(options.path)
  const body = { id, path, sizeBytes: options.size, ...settingsOf(options) }
  const url = `/api/nodes/${node.id}/drives`
  if (options.dryRun) return dryRun(run, 'POST', url, body)
  const answer = await client.send('POST', url, body, driveAnswer)
  const { drive } = answer
  run.output.done(`${name} has the drive ${id}, ${formatBytes(drive.sizeBytes)}. ${appliesWords(drive)}`, answer)
}

async function set(run: Run, options: SettingsOptions, name: string, id: string): Promise<void> {
  const body = settingsOf(options)
  if (Object.values(body).every((value) => value === undefined)) {
    throw new SandlabError('bad_request', 'Nothing to change was given.', {
      hint: 'Give --read-only, --no-read-only, --cache, --io, --bps, --iops, --burst-bps or --burst-iops.',
    })
  }
  await change(run, options, name, id, body, 'is changed')
}

async function grow(run: Run, options: { dryRun: boolean }, name: string, id: string, size: string): Promise<void> {
  const bytes = parseBytes(size.replace(/^\+/, ''))
  if (bytes === undefined || bytes === 0) {
    throw new SandlabError('bad_request', `"${size}" is no size. Give one like 40G, or +10G for so much more.`)
  }
  const more = size.startsWith('+') ? (await findDrive(run, name, id)).drive.sizeBytes : 0
  const sizeBytes = more + bytes
  await change(run, options, name, id, { sizeBytes }, `has ${formatBytes(sizeBytes)} now`)
}

async function change(
  run: Run,
  options: { dryRun: boolean },
  name: string,
  id: string,
  body: Record<string, unknown>,
  words: string,
): Promise<void> {
  const client = await run.client()
  const path = drivePath(await findNode(client, name), id)
  if (options.dryRun) return dryRun(run, 'PATCH', path, body)
  const answer = await client.send('PATCH', path, body, driveAnswer)
  run.output.done(`The drive ${id} of ${name} ${words}. ${appliesWords(answer.drive)}`, answer)
}

interface Found {
  client: Client
  node: NodeView
  drive: DriveView
}

async function findDrive(run: Run, name: string, id: string): Promise<Found> {
  const client = await run.client()
  const node = await findNode(client, name)
  const { drives } = await client.get(`/api/nodes/${node.id}/drives`, drivesAnswer)
  const drive = drives.find((one) => one.id === id)
  if (drive) return { client, node, drive }
  throw new SandlabError('not_found', `${node.name} has no drive "${id}".`, {
    hint: `It has: ${drives.map((one) => one.id).join(', ')}.`,
  })
}

const removeSchema = z.object({
  deleteStorage: z.boolean().default(false),
  force: z.boolean().default(false),
  dryRun: z.boolean().default(false),
})

async function remove(run: Run, options: z.infer<typeof removeSchema>, name: string, id: string): Promise<void> {
  const doing = `Taking the drive ${id} away from ${name}`
  requireAnswer(run, options, doing)
  const { client, node, drive } = await findDrive(run, name, id)
  const path = `${drivePath(node, id)}${options.deleteStorage ? '?deleteStorage=true' : ''}`
  const question = {
    question: `Take the drive ${id} away from ${name}?`,
    doing,
    advice: options.deleteStorage ? undefined : 'Its file is KEPT.',
  }
  const plans = await askWithPlans(run, client, [{ method: 'DELETE', path }], options, question)
  if (!plans) return
  await client.sendForNothing('DELETE', path)
  const fate = options.deleteStorage && drive.source === 'automatic' ? 'its file is in the trash' : 'its file is kept'
  run.output.done(`${name} has no drive ${id} any more; ${fate}.`, { deleted: { id, nodeId: node.id }, plan: plans[0] })
  if (options.deleteStorage) sayNext(run, 'Bring it back: sandlabx trash ls, then sandlabx trash restore ID')
  else if (drive.source === 'automatic')
    sayNext(run, `Use it again: sandlabx drive add NODE ${id} --path ${drive.path}`)
}

const moveSchema = z.object({ as: z.string().optional(), dryRun: z.boolean().default(false) })

async function move(
  run: Run,
  options: z.infer<typeof moveSchema>,
  name: string,
  id: string,
  toName: string,
): Promise<void> {
  const client = await run.client()
  const [from, to] = [await findNode(client, name), await findNode(client, toName)]
  const path = `${drivePath(from, id)}/move`
  const body = { toNodeId: to.id, newId: options.as }
  if (options.dryRun) return dryRun(run, 'POST', path, body)
  const answer = await client.send('POST', path, body, driveAnswer)
  run.output.done(`${to.name} has the drive ${answer.drive.id} now. ${appliesWords(answer.drive)}`, answer)
}

function drivePath({ id }: NodeView, driveId: string): string {
  return `/api/nodes/${id}/drives/${encodeURIComponent(driveId)}`
}
