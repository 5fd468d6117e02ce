import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { z } from 'zod'
import { isSandlabError, SandlabError } from '../domain/error.js'
import type { NodeView } from '../domain/node.js'
import type { Operation } from '../domain/operation.js'
import { operationAnswer, planAnswer } from './answers.js'
import type { Client } from './client.js'
import { normalUrl } from './credentials.js'
import { followOperation } from './follow-operation.js'
import { canAsk, type Io } from './io.js'
import { showMade, throwUnlessAllWell } from './made-nodes.js'
import { askAboutConflict, type CloneBody } from './name-conflict.js'
import { findNode, findUser } from './names.js'
import { wholeNumber } from './option-values.js'
import { dryRun } from './plan-view.js'
import { askPassword, readSecretFromStdin } from './prompts.js'
import { verb, type Run } from './run.js'
import { oneLine, paint } from './text.js'

const EXAMPLES = `
Examples:
  sandlabx clone web web-2                       linked: at once, shares what both have
  sandlabx clone web archive --full              a disk of its own that needs no other file
  sandlabx clone web 'web-{nn}' --count 30       web-01 to web-30
  sandlabx clone web web-2 --idempotent          may be repeated: an old web-2 moves to the trash
  sandlabx clone web web --to https://other.lab --token-file token`

export function addCloneCommand(program: Command, io: Io): void {
  program
    .command('clone <source> <new-name>')
    .description('make a node like another one, stopped or running')
    .option('--full', 'copy the whole disk; otherwise linked, over what both share')
    .option('--count <number>', 'how many; the name then has {n} for the number, or {nn} for two digits', wholeNumber)
    .option('--idempotent', 'a node of that name moves to the trash first, so that the command may be repeated')
    .option('--force', 'the same; scripts say --idempotent')
    .option('--snapshot <name>', 'from this snapshot of the source instead of its disk as it is')
    .option('--snapshot-first', 'keep a named snapshot of the source as it is now')
    .option('--owner <login>', "whose node it is; the source's owner unless told")
    .option('--start', 'start it as soon as it is made')
    .option('--to <address>', 'make it on another SandLabX')
    .option('--token-file <file>', 'an API token of that SandLabX; - reads standard input, else it is asked for')
    .option('--dry-run', 'show what would be done, and do nothing')
    .option('--yes', 'ask nothing: a name that is taken is then a failure')
    .option('--no-wait', 'do not wait until it is done')
    .addHelpText('after', EXAMPLES)
    .action(verb(io, cloneOptionsSchema, clone))
}

const cloneOptionsSchema = z.object({
  full: z.boolean().optional(),
  count: z.number().optional(),
  idempotent: z.boolean().optional(),
  force: z.boolean().optional(),
  snapshot: z.string().optional(),
  snapshotFirst: z.boolean().optional(),
  owner: z.string().optional(),
  start: z.boolean().optional(),
  to: z.string().optional(),
  tokenFile: z.string().optional(),
  dryRun: z.boolean().default(false),
  yes: z.boolean().default(false),
  wait: z.boolean().default(true),
})
type CloneOptions = z.infer<typeof cloneOptionsSchema>

async function clone(run: Run, options: CloneOptions, source: string, name: string): Promise<void> {
  refuseCombinations(options)
  const client = await run.client()
  const node = await findNode(client, source)
  const path = `/api/nodes/${node.id}/clone`
  const body = await bodyOf(run, client, options, name)
  if (options.dryRun) {
    await dryRun(run, 'POST', path, body)
    return
  }
  if (options.force || options.idempotent) await warn(run, client, path, body)
  const { operation, name: chosen } = await cloneOrAsk(run, client, options, { path, body, source: node })
  if (options.to !== undefined && operation.state === 'succeeded') {
    run.output.done(`${chosen} is on ${normalUrl(options.to)}.`, { operation })
  } else {
    await showMade(run, client, operation)
    throwUnlessAllWell(operation)
  }
}

function refuseCombinations({ to, owner, tokenFile }: CloneOptions): void {
  if (to !== undefined && owner !== undefined) {
    throw new SandlabError('bad_request', "--owner can't be given with --to.", {
      hint: 'Over there the clone belongs to the one whose token it is.',
    })
  }
  if (to === undefined && tokenFile !== undefined) {
    throw new SandlabError('bad_request', '--token-file is the token for --to, which is missing.')
  }
}

async function bodyOf(run: Run, client: Client, options: CloneOptions, name: string): Promise<CloneBody> {
  const { full, count, idempotent, force, snapshot, snapshotFirst, start, owner, to } = options
  const ownerId = owner === undefined ? undefined : (await findUser(client, owner)).id
  const target =
    to === undefined ? undefined : { url: normalUrl(to), token: await tokenFor(run, to, options.tokenFile) }
  return { name, count, full, idempotent, force, snapshot, snapshotFirst, ownerId, start, to: target }
}

async function tokenFor(run: Run, address: string, file: string | undefined): Promise<string> {
  if (file === '-') return readSecretFromStdin(run.io)
  if (file === undefined) return askPassword(run.io, `API token for ${address}`)
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new SandlabError('bad_request', `The token file ${file} can't be read.`, { cause: error })
  })
  const token = text.trim()
  if (token !== '') return token
  throw new SandlabError('bad_request', `The token file ${file} is empty.`)
}

/** What a clone with --force replaces is said before it goes. */
async function warn(run: Run, client: Client, path: string, body: CloneBody): Promise<void> {
  const { plan } = await client.ask('POST', path, body, planAnswer)
  for (const warning of plan.warnings) {
    run.io.stderr.write(`${paint(run.io, run.io.stderr, 'yellow', '!')} ${oneLine(warning)}\n`)
  }
}

interface Asked {
  path: string
  body: CloneBody
  source: NodeView
}

/** Begins it and follows it; on a terminal a name that is taken is a question. */
async function cloneOrAsk(
  run: Run,
  client: Client,
  options: CloneOptions,
  { path, body: first, source }: Asked,
): Promise<{ operation: Operation; name: string }> {
  const mayAsk = canAsk(run.io) && !options.yes && options.to === undefined
  for (let body = first; ;) {
    try {
      const { operation } = await client.send('POST', path, body, operationAnswer)
      return { operation: options.wait ? await followOperation(run.io, client, operation) : operation, name: body.name }
    } catch (error) {
      if (!isSandlabError(error, 'name_taken')) throw error
      if (!mayAsk) throw withWaysOut(error)
      body = await askAboutConflict(run, client, { path, body, source, conflict: error })
    }
  }
}

function withWaysOut(error: SandlabError): SandlabError {
  return new SandlabError('name_taken', error.message, {
    hint: 'Choose another name, or add --idempotent: the node that has it then moves to the trash. Nothing was changed.',
    details: error.details,
    cause: error,
  })
}
