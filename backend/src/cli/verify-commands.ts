import type { Command } from 'commander'
import { z } from 'zod'
import { SandlabError } from '../domain/error.js'
import type { NodeView } from '../domain/node.js'
import { REPAIRS, VERIFY_LEVELS, type Repair, type VerifyLevel, type VerifyReport } from '../domain/storage.js'
import { operationAnswer } from './answers.js'
import type { Client } from './client.js'
import { ProblemsFound } from './doctor.js'
import { followOperation, followToEnd } from './follow-operation.js'
import { canAsk, type Io } from './io.js'
import { findNode } from './names.js'
import { sayNext } from './output.js'
import { askWithPlans, requireAnswer } from './plan-question.js'
import { askChoice } from './prompts.js'
import { verb, type Run } from './run.js'
import { reportAnswer } from './storage-answers.js'
import { storagePath } from './storage-paths.js'
import { offeredRepairs, repairCommand, verifyLines } from './verify-views.js'

const LEVELS = 'files: they are there; chain: and what they stand on; full: and their content'

/** storage verify and repair: is everything there and right, and what to do when not. */
export function addVerifyCommands(storage: Command, io: Io): void {
  storage
    .command('verify [node]')
    .description('look whether the storage of a node, or of all, is there and right; exit 3 when not')
    .option('--all', 'nodes, images and layers; the same as without a node')
    .option('--level <level>', LEVELS, 'chain')
    .option('--verbose', 'each file of each node, also where all is well')
    .action(verb(io, verifySchema, verify))
  storage
    .command('repair <node>')
    .description('mend what verify found: offers the ways, or takes the one that is given')
    .option('--repair <way>', `one of ${REPAIRS.join(', ')}`)
    .option('--path <path>', 'the file that it is for, as verify shows it')
    .option('--argument <value>', 'what it needs besides: a trash entry, a snapshot, an image')
    .option('--level <level>', LEVELS, 'chain')
    .option('--force', 'do not ask')
    .option('--dry-run', 'show what would be done, and do nothing')
    .action(verb(io, repairSchema, repair))
}

const levelSchema = z.enum(VERIFY_LEVELS, `A level is one of ${VERIFY_LEVELS.join(', ')}.`)
const verifySchema = z.object({
  all: z.boolean().default(false),
  level: levelSchema,
  verbose: z.boolean().default(false),
})

async function verify(run: Run, options: z.infer<typeof verifySchema>, name?: string): Promise<void> {
  if (options.all && name !== undefined) {
    throw new SandlabError('bad_request', 'Give a node or --all, not both.')
  }
  const client = await run.client()
  const node = name === undefined ? undefined : await findNode(client, name)
  const report = await look(run, client, node, options.level)
  show(run, report, node === undefined && !options.verbose)
  if (report.ok) return
  const ailing = report.subjects.find(({ type, ok, findings }) => type === 'node' && !ok && findings.some(hasRepair))
  if (ailing) sayNext(run, `Mend it: sandlabx storage repair ${ailing.name}`)
  throw new ProblemsFound()
}

const hasRepair = ({ repairs }: { repairs: unknown[] }) => repairs.length > 0

/** Problems that were found are an answer, not a failure. */
async function look(run: Run, client: Client, node: NodeView | undefined, level: VerifyLevel): Promise<VerifyReport> {
  const started = await client.send('POST', '/api/storage/verify', { nodeId: node?.id, level }, operationAnswer)
  const { operation, failure } = await followToEnd(run.io, client, started.operation)
  const answer = await client.get(`/api/storage/reports/${operation.id}`, reportAnswer).catch((error: unknown) => {
    throw failure ?? error
  })
  return answer.report
}

function show(run: Run, report: VerifyReport, brief: boolean): void {
  if (run.output.json) run.output.done('', { report })
  else run.output.text(`${verifyLines(run.io, report, { brief }).join('\n')}\n`)
}

const repairSchema = z.object({
  repair: z.enum(REPAIRS, `A repair is one of ${REPAIRS.join(', ')}.`).optional(),
  path: z.string().optional(),
  argument: z.string().optional(),
  level: levelSchema,
  force: z.boolean().default(false),
  dryRun: z.boolean().default(false),
})
type RepairOptions = z.infer<typeof repairSchema>

interface ChosenRepair {
  repair: Repair
  path: string
  argument: string | undefined
}

async function repair(run: Run, options: RepairOptions, name: string): Promise<void> {
  if ((options.repair === undefined) !== (options.path === undefined)) {
    throw new SandlabError('bad_request', '--repair and --path belong together: what is to be done, to which file.')
  }
  const doing = `Repairing ${name}`
  if (options.repair !== undefined) requireAnswer(run, options, doing)
  const client = await run.client()
  const node = await findNode(client, name)
  const chosen = given(options) ?? (await choose(run, client, node, options.level))
  if (!chosen) return
  const request = { method: 'POST' as const, path: '/api/storage/repair', body: { nodeId: node.id, ...chosen } }
  const question = { question: 'Do it?', doing }
  if (!(await askWithPlans(run, client, [request], options, question))) return
  const started = await client.send('POST', request.path, request.body, operationAnswer)
  const operation = await followOperation(run.io, client, started.operation)
  run.output.done(`The repair of ${name} is done.`, { operation })
  sayNext(run, `Look again: sandlabx storage verify ${name}`)
}

function given({ repair: way, path, argument }: RepairOptions): ChosenRepair | undefined {
  return way === undefined || path === undefined ? undefined : { repair: way, path: storagePath(path), argument }
}

/** Looks, shows what is wrong and lets a person choose; without one, it is said which commands there are. */
async function choose(run: Run, client: Client, node: NodeView, level: VerifyLevel): Promise<ChosenRepair | undefined> {
  const report = await look(run, client, node, level)
  const offers = offeredRepairs(report, node.id)
  if (report.ok || !canAsk(run.io) || run.output.json || offers.length === 0) {
    show(run, report, false)
    if (report.ok) return undefined
    for (const offer of offers) sayNext(run, repairCommand(node.name, offer))
    if (offers.length === 0) sayNext(run, 'No repair is known for this. A backup, or a snapshot, would have it.')
    throw new ProblemsFound()
  }
  run.io.stderr.write(`${verifyLines(run.io, report, { brief: false }).join('\n')}\n`)
  const choices = offers.map(({ title, path }, index) => ({
    value: String(index),
    label: `${index + 1}. ${title}`,
    hint: path,
  }))
  const answer = await askChoice(run.io, 'What is to be done?', [...choices, { value: 'nothing', label: 'Nothing' }])
  const offer = offers[Number(answer)]
  if (!offer) throw new SandlabError('cancelled', 'Nothing was changed.')
  const { repair: way, path, argument } = offer
  return { repair: way, path, argument: argument ?? undefined }
}
