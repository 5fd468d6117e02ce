import type { Command } from 'commander'
import { z } from 'zod'
import { SandlabError } from '../domain/error.js'
import type { TrashView } from '../domain/trash.js'
import { formatBytes } from '../domain/units.js'
import { operationAnswer } from './answers.js'
import type { Client } from './client.js'
import { followOperation } from './follow-operation.js'
import { canAsk, type Io } from './io.js'
import { sayNext } from './output.js'
import { wholeNumber } from './option-values.js'
import { askWithPlans, requireAnswer, type Planned } from './plan-question.js'
import { askChoice } from './prompts.js'
import { noOptions, verb, type Run } from './run.js'
import { trashAnswer } from './storage-answers.js'
import { localTime } from './text.js'
import { shortestIds, TRASH_COLUMNS, trashRow } from './trash-views.js'

const EXAMPLES = `
Examples:
  sandlabx trash ls                         what is there, how big, and until when
  sandlabx trash restore web                the node web with its disks, as it was
  sandlabx trash restore web --name web-2   under another name
  sandlabx trash purge --older-than 3       for good, what is there for more than 3 days`

/** trash ls, restore, purge: what was deleted or replaced and can be brought back. */
export function addTrashCommands(program: Command, io: Io): void {
  const trash = program
    .command('trash')
    .description('what was deleted or replaced, and can be brought back')
    .addHelpText('after', EXAMPLES)
  trash
    .command('ls')
    .alias('list')
    .description('list it, newest first')
    .action(verb(io, noOptions, list))
  trash
    .command('restore <what>')
    .description("bring it back: the id's beginning, or the node's name")
    .option('--name <name>', 'under another name')
    .option('--force', 'do not ask, also where something makes room for it')
    .option('--dry-run', 'show what would be done, and do nothing')
    .action(verb(io, restoreSchema, restore))
  trash
    .command('purge [what...]')
    .description('remove it for good: ids, names of nodes, or one of the options')
    .option('--all', 'everything that you may remove')
    .option('--older-than <days>', 'what is there for longer than that', wholeNumber)
    .option('--force', 'do not ask')
    .option('--dry-run', 'show what would be done, and do nothing')
    .action(verb(io, purgeSchema, purge))
}

async function list(run: Run): Promise<void> {
  const answer = await (await run.client()).get('/api/trash', trashAnswer)
  const ids = shortestIds(answer.entries, run.io.stdout.isTTY === true)
  run.output.table(
    TRASH_COLUMNS,
    answer.entries.map((entry) => trashRow(entry, ids)),
    answer,
    TRASH_COLUMNS.indexOf('WHAT'),
  )
  if (run.output.json || !run.io.stdout.isTTY) return
  const { entries, totalBytes, retentionDays } = answer
  if (entries.length === 0) run.io.stderr.write('The trash is empty.\n')
  else {
    const until = retentionDays === null ? 'nothing goes by itself' : `each goes for good after ${days(retentionDays)}`
    run.io.stderr.write(`${formatBytes(totalBytes)} in all; ${until}.\n`)
    sayNext(run, 'Bring something back: sandlabx trash restore ID')
  }
}

function days(count: number): string {
  return count === 1 ? '1 day' : `${count} days`
}

const restoreSchema = z.object({
  name: z.string().optional(),
  force: z.boolean().default(false),
  dryRun: z.boolean().default(false),
})

async function restore(run: Run, options: z.infer<typeof restoreSchema>, what: string): Promise<void> {
  const client = await run.client()
  const { entries } = await client.get('/api/trash', trashAnswer)
  const entry = await choose(run, entries, what)
  if (entry.refusal !== null && !options.dryRun) throw new SandlabError('wrong_status', entry.refusal)
  const request = { method: 'POST' as const, path: pathOf(entry, '/restore'), body: { name: options.name } }
  const question = {
    question: `Bring ${entry.title} back?`,
    doing: `Bringing ${entry.title} back`,
    askIf: ({ replaces }: { replaces: unknown[] }) => replaces.length > 0,
  }
  if (!(await askWithPlans(run, client, [request], options, question))) return
  const started = await client.send(request.method, request.path, request.body, operationAnswer)
  const operation = await followOperation(run.io, client, started.operation)
  run.output.done(`${entry.title} is back.`, { operation })
}

/** On a terminal, one of several that fit is chosen from a list. */
async function choose(run: Run, entries: readonly TrashView[], text: string): Promise<TrashView> {
  const fitting = pickTrash(entries, text)
  const [only] = fitting
  if (only && fitting.length === 1) return only
  if (!only) throw noneFits(text)
  if (canAsk(run.io) && !run.output.json) {
    const choices = fitting.map((entry) => ({
      value: entry.id,
      label: `${entry.title}, ${localTime(entry.at)}`,
      hint: `${entry.reason}, ${formatBytes(entry.usedBytes)}`,
    }))
    const id = await askChoice(run.io, `Which "${text}"?`, choices)
    return fitting.find((entry) => entry.id === id) ?? only
  }
  throw severalFit(text, fitting)
}

/** By id, by the name of the node that was deleted, by any node's name, or by the beginning of the id. Pure. */
export function pickTrash(entries: readonly TrashView[], text: string): TrashView[] {
  const byId = entries.filter(({ id }) => id === text)
  if (byId.length > 0) return byId
  const named = entries.filter(({ nodeName, ownerLogin }) => nodeName === text || `${ownerLogin}/${nodeName}` === text)
  const deleted = named.filter(({ reason }) => reason === 'deleted' || reason === 'replaced')
  if (deleted.length === 1) return deleted
  if (named.length > 0) return named
  return text.length < 4 ? [] : entries.filter(({ id }) => id.startsWith(text))
}

function noneFits(text: string): SandlabError {
  return new SandlabError('not_found', `There is no "${text}" in the trash that you can see.`, {
    hint: 'List it with "sandlabx trash ls".',
  })
}

function severalFit(text: string, fitting: readonly TrashView[]): SandlabError {
  const which = fitting.slice(0, 5).map(({ id, reason }) => `${id} (${reason})`)
  return new SandlabError('bad_request', `"${text}" fits ${fitting.length} things in the trash.`, {
    hint: `Say which by its id: ${which.join(', ')}${fitting.length > 5 ? ' …' : ''}.`,
  })
}

const purgeSchema = z.object({
  all: z.boolean().default(false),
  olderThan: z.number().optional(),
  force: z.boolean().default(false),
  dryRun: z.boolean().default(false),
})
type PurgeOptions = z.infer<typeof purgeSchema>

async function purge(run: Run, options: PurgeOptions, texts: string[]): Promise<void> {
  const ways = [texts.length > 0, options.all, options.olderThan !== undefined].filter(Boolean).length
  if (ways !== 1) {
    throw new SandlabError('bad_request', 'Say what is to be removed for good: ids or names, or one of the options.', {
      hint: 'sandlabx trash purge ID…, --all, or --older-than DAYS.',
    })
  }
  const doing = 'Removing for good'
  requireAnswer(run, options, doing)
  const client = await run.client()
  const requests = await purgeRequests(run, client, options, texts)
  const question = { question: 'Remove this for good? It can not be brought back then.', doing }
  const plans = await askWithPlans(run, client, requests, options, question)
  if (!plans) return
  for (const { method, path, body } of requests) {
    if (method === 'DELETE') await client.sendForNothing('DELETE', path)
    else {
      const { operation } = await client.send('POST', path, body, operationAnswer)
      await followOperation(run.io, client, operation)
    }
  }
  run.output.done('It is removed for good.', { plans })
}

async function purgeRequests(run: Run, client: Client, options: PurgeOptions, texts: string[]): Promise<Planned[]> {
  if (texts.length === 0) {
    const body = options.olderThan === undefined ? {} : { olderThanDays: options.olderThan }
    return [{ method: 'POST', path: '/api/trash/purge', body }]
  }
  const { entries } = await client.get('/api/trash', trashAnswer)
  const chosen: TrashView[] = []
  for (const text of texts) chosen.push(await choose(run, entries, text))
  return [...new Set(chosen)].map((entry) => ({ method: 'DELETE', path: pathOf(entry) }))
}

function pathOf({ id }: TrashView, rest = ''): string {
  return `/api/trash/${encodeURIComponent(id)}${rest}`
}
