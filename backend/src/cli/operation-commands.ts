import type { Command } from 'commander'
import { z } from 'zod'
import { SandlabError } from '../domain/error.js'
import { OPERATION_KINDS, OPERATION_STATES } from '../domain/operation.js'
import { operationAnswer, operationsAnswer } from './answers.js'
import type { Client } from './client.js'
import { followToEnd } from './follow-operation.js'
import type { Io } from './io.js'
import { OPERATION_COLUMNS, operationRow, showOperation } from './operation-views.js'
import { wholeNumber } from './option-values.js'
import { noOptions, verb, type Run } from './run.js'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** operations ls, show, cancel: what the server does, and the log of what it did. */
export function addOperationCommands(program: Command, io: Io): void {
  const operations = program
    .command('operations')
    .alias('operation')
    .description('long work of the server, and its log')
  operations
    .command('ls')
    .alias('list')
    .description('list it, newest first; the newest 1000 that have ended are kept')
    .option('--state <state>', `only ${OPERATION_STATES.join(', ')}`)
    .option('--kind <kind>', `only ${OPERATION_KINDS.join(', ')}`)
    .option('--limit <number>', 'how many at most', wholeNumber, 50)
    .action(verb(io, listSchema, list))
  operations
    .command('show <id>')
    .description('show the log of one; the beginning of its id will do')
    .option('--follow', 'wait until it has ended')
    .action(verb(io, z.object({ follow: z.boolean().default(false) }), show))
  operations
    .command('cancel <id>')
    .description('end it; what it did is taken back')
    .action(verb(io, noOptions, cancel))
}

const listSchema = z.object({ state: z.string().optional(), kind: z.string().optional(), limit: z.number() })

async function list(run: Run, { state, kind, limit }: z.infer<typeof listSchema>): Promise<void> {
  const query = new URLSearchParams({ limit: String(limit), ...(state && { state }), ...(kind && { kind }) })
  const answer = await (await run.client()).get(`/api/operations?${query.toString()}`, operationsAnswer)
  const rows = answer.operations.map((operation) => operationRow(operation, run.io.stdout.isTTY === true))
  run.output.table(OPERATION_COLUMNS, rows, answer, OPERATION_COLUMNS.indexOf('WHAT'))
}

async function show(run: Run, options: { follow: boolean }, text: string): Promise<void> {
  const client = await run.client()
  const found = await client.get(`/api/operations/${await operationId(client, text)}`, operationAnswer)
  const follow = options.follow && found.operation.state === 'running'
  const { operation, failure } = follow
    ? await followToEnd(run.io, client, found.operation)
    : { ...found, failure: undefined }
  showOperation(run, operation)
  if (failure) throw failure
}

async function cancel(run: Run, _options: unknown, text: string): Promise<void> {
  const client = await run.client()
  const answer = await client.send(
    'POST',
    `/api/operations/${await operationId(client, text)}/cancel`,
    {},
    operationAnswer,
  )
  run.output.done(`"${answer.operation.title}" is being ended.`, answer)
}

/** The whole id, or the beginning of exactly one. */
export async function operationId(client: Client, text: string): Promise<string> {
  if (UUID.test(text)) return text
  const { operations } = await client.get('/api/operations?limit=1000', operationsAnswer)
  const fitting = operations.filter(({ id }) => id.startsWith(text.toLowerCase()))
  const [only, ...others] = fitting
  if (!only) {
    throw new SandlabError('not_found', `There is no operation "${text}" that you can see.`, {
      hint: 'List them with "sandlabx operations ls".',
    })
  }
  if (others.length === 0) return only.id
  throw new SandlabError('bad_request', `${fitting.length} operations begin with "${text}".`, {
    hint: 'Give more of the id; "sandlabx operations ls" shows all of it.',
  })
}
