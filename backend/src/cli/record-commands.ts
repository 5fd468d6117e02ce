import type { Command } from 'commander'
import { z } from 'zod'
import type { Operation } from '../domain/operation.js'
import { auditAnswer, operationAnswer, operationsAnswer, rebuildAnswer } from './answers.js'
import { followOperation } from './follow-operation.js'
import type { Io } from './io.js'
import { wholeNumber } from './option-values.js'
import { noOptions, verb, type Run } from './run.js'
import { countNodes, localTime } from './text.js'

/** audit, operations … and state rebuild: what was done, what is being done, and the records behind it. */
export function addRecordCommands(program: Command, io: Io): void {
  program
    .command('audit')
    .description('who did what, newest first (administrators)')
    .option('--limit <number>', 'how many entries', wholeNumber, 50)
    .option('--before <mark>', 'older than this; a page ends with the mark of the next')
    .option('--actor <login>', 'only by this person')
    .option('--action <name>', 'only this action, like node.start')
    .option('--object <id>', 'only on this object')
    .action(verb(io, auditSchema, audit))
  const operations = program.command('operations').alias('operation').description('long work of the server')
  operations
    .command('ls')
    .alias('list')
    .description('list it, newest first')
    .action(verb(io, noOptions, list))
  operations
    .command('show <id>')
    .description('show one with its log')
    .option('--follow', 'wait until it has ended')
    .action(verb(io, z.object({ follow: z.boolean().default(false) }), show))
  operations
    .command('cancel <id>')
    .description('end it')
    .action(verb(io, noOptions, cancel))
  const state = program.command('state').description('the file that names all nodes (administrators)')
  state
    .command('rebuild')
    .description('in safe mode: make it anew from the records beside the disks')
    .action(verb(io, noOptions, rebuild))
}

async function rebuild(run: Run): Promise<void> {
  const made = await (await run.client()).send('POST', '/api/system/rebuild', {}, rebuildAnswer)
  run.output.done(`The state is rebuilt: ${countNodes(made.nodes)}, ${made.images} images.`, made)
}

const auditSchema = z.object({
  limit: z.number(),
  before: z.string().optional(),
  actor: z.string().optional(),
  action: z.string().optional(),
  object: z.string().optional(),
})

async function audit(run: Run, options: z.infer<typeof auditSchema>): Promise<void> {
  const { limit, before, actor, action, object } = options
  const query = new URLSearchParams({ limit: String(limit) })
  for (const [name, value] of Object.entries({ before, actor, action, object })) {
    if (value !== undefined) query.set(name, value)
  }
  const answer = await (await run.client()).get(`/api/audit?${query.toString()}`, auditAnswer)
  const rows = answer.entries.map((entry) => [
    localTime(entry.at),
    entry.actorLogin,
    entry.action,
    entry.objectName ?? entry.objectId ?? '',
    entry.code ? `${entry.result} (${entry.code})` : entry.result,
    entry.address,
  ])
  run.output.table(['TIME', 'WHO', 'WHAT', 'ON', 'RESULT', 'FROM'], rows, answer)
  if (answer.next !== null && !run.output.json) run.io.stderr.write(`Older: --before ${answer.next}\n`)
}

async function list(run: Run): Promise<void> {
  const answer = await (await run.client()).get('/api/operations', operationsAnswer)
  const rows = answer.operations.map((operation) => [
    operation.title,
    operation.state,
    operation.progress === null ? '' : `${Math.floor(operation.progress * 100)} %`,
    operation.actorLogin,
    localTime(operation.startedAt),
    operation.id,
  ])
  run.output.table(['WHAT', 'STATE', 'DONE', 'BY', 'SINCE', 'ID'], rows, answer)
}

async function show(run: Run, options: { follow: boolean }, id: string): Promise<void> {
  const client = await run.client()
  const found = await client.get(`/api/operations/${encodeURIComponent(id)}`, operationAnswer)
  const operation = options.follow ? await followOperation(run.io, client, found.operation) : found.operation
  run.output.facts(facts(operation), { operation })
}

async function cancel(run: Run, _options: unknown, id: string): Promise<void> {
  const path = `/api/operations/${encodeURIComponent(id)}/cancel`
  const answer = await (await run.client()).send('POST', path, {}, operationAnswer)
  run.output.done(`"${answer.operation.title}" is being ended.`, answer)
}

function facts(operation: Operation): [string, string][] {
  const all: [string, string][] = [
    ['What', operation.title],
    ['State', operation.state],
    ['Step', operation.step],
    ['By', operation.actorLogin],
    ['Started', localTime(operation.startedAt)],
    ['Ended', localTime(operation.endedAt)],
    ['Error', operation.error ? [operation.error.message, operation.error.hint].filter(Boolean).join(' · ') : ''],
    ['Id', operation.id],
    ...operation.log.map((line): [string, string] => ['Log', `${localTime(line.at)} ${line.text}`]),
  ]
  return all.filter(([, value]) => value !== '')
}
