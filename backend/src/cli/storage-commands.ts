import type { Command } from 'commander'
import { z } from 'zod'
import { isSandlabError, SandlabError } from '../domain/error.js'
import { operationAnswer } from './answers.js'
import type { Client } from './client.js'
import { readConfigFile } from './config-file.js'
import { followOperation, shortId } from './follow-operation.js'
import { canAsk, type Io } from './io.js'
import { findUser } from './names.js'
import { sayNext } from './output.js'
import { dryRun } from './plan-view.js'
import { askWithPlans, requireAnswer } from './plan-question.js'
import { askChoice } from './prompts.js'
import { noOptions, verb, type Run } from './run.js'
import { orphansAnswer, spaceAnswer } from './storage-answers.js'
import { storagePath } from './storage-paths.js'
import { orphanLines, spaceLines } from './storage-views.js'
import { addVerifyCommands } from './verify-commands.js'

const EXAMPLES = `
Examples:
  sandlabx storage orphaned
  sandlabx storage attach web /overlays/node_….qcow2                        the former node, from the record beside it
  sandlabx storage attach web /overlays/disk.qcow2 --vm-config web.yaml     what "sandlabx show web" printed
  sandlabx storage verify web --level full && sandlabx start web
  sandlabx storage verify --all`

/** storage orphaned, attach, discard, verify, repair, space. */
export function addStorageCommands(program: Command, io: Io): void {
  const storage = program
    .command('storage')
    .description('disk files: find, attach, verify, repair')
    .addHelpText('after', EXAMPLES)
  storage
    .command('orphaned')
    .alias('orphans')
    .description('list disk files that no node has; never deletes any')
    .action(verb(io, noOptions, orphaned))
  storage
    .command('attach <name> <path>')
    .description('make a node over a disk file that no node has')
    .option('--vm-config <file>', 'what the node is, in the YAML of "sandlabx show"; else the record beside the disk')
    .option('--rebase-to <image>', 'its base image is missing: stand on this one, whose content must be the same')
    .option('--owner <login>', 'whose node it is; else who had it, or you')
    .option('--dry-run', 'show what would be done, and do nothing')
    .action(verb(io, attachSchema, attach))
  storage
    .command('discard <path>')
    .description('move a disk file that no node has to the trash')
    .option('--force', 'do not ask')
    .option('--dry-run', 'show what would be done, and do nothing')
    .action(verb(io, discardSchema, discard))
  addVerifyCommands(storage, io)
  storage
    .command('space')
    .description('show what takes how much room')
    .action(verb(io, noOptions, space))
}

async function orphaned(run: Run): Promise<void> {
  const answer = await (await run.client()).get('/api/storage/orphans', orphansAnswer)
  if (run.output.json) run.output.done('', answer)
  else run.output.text(`${orphanLines(run.io, answer, Date.now()).join('\n')}\n`)
  if (answer.orphans.length === 0) return
  sayNext(run, 'Make a node of one: sandlabx storage attach NAME PATH')
  sayNext(run, 'Let one go: sandlabx storage discard PATH')
}

const attachSchema = z.object({
  vmConfig: z.string().optional(),
  rebaseTo: z.string().optional(),
  owner: z.string().optional(),
  dryRun: z.boolean().default(false),
})
type AttachOptions = z.infer<typeof attachSchema>

async function attach(run: Run, options: AttachOptions, name: string, path: string): Promise<void> {
  const config = options.vmConfig === undefined ? undefined : await readConfigFile(run.io, options.vmConfig)
  const client = await run.client()
  const ownerId = options.owner === undefined ? undefined : (await findUser(client, options.owner)).id
  const body: AttachBody = { path: storagePath(path), name, config, ownerId, rebaseTo: options.rebaseTo }
  if (options.dryRun) return dryRun(run, 'POST', ATTACH, body)
  const operation = await attachOrAsk(run, client, body)
  run.output.done(`The storage is attached to ${name}.`, { operation })
  sayNext(run, `Start it: sandlabx start ${name}`)
}

const ATTACH = '/api/storage/attach'

interface AttachBody {
  path: string
  name: string
  config: string | undefined
  ownerId: string | undefined
  rebaseTo: string | undefined
}

/** Where the base image is missing and others may be it, a person is asked which. */
async function attachOrAsk(run: Run, client: Client, body: AttachBody) {
  try {
    const { operation } = await client.send('POST', ATTACH, body, operationAnswer)
    return await followOperation(run.io, client, operation)
  } catch (error) {
    const candidates = candidatesOf(error)
    if (candidates.length === 0 || body.rebaseTo !== undefined || !canAsk(run.io) || run.output.json) throw error
    run.io.stderr.write(`${(error as SandlabError).message}\n`) // it has candidates
    const choices = candidates.map(({ id, title }) => ({ value: id, label: `Stand on ${id}`, hint: title }))
    const chosen = await askChoice(run.io, 'Its base image is missing.', [...choices, { value: '', label: 'Cancel' }])
    if (chosen === '') throw error
    const { operation } = await client.send('POST', ATTACH, { ...body, rebaseTo: chosen }, operationAnswer)
    return followOperation(run.io, client, operation)
  }
}

const candidatesSchema = z.object({ candidates: z.array(z.object({ id: z.string(), title: z.string() })) })
type Candidate = z.infer<typeof candidatesSchema>['candidates'][number]

function candidatesOf(error: unknown): Candidate[] {
  if (!isSandlabError(error, 'base_missing')) return []
  return candidatesSchema.safeParse(error.details).data?.candidates ?? []
}

const discardSchema = z.object({ force: z.boolean().default(false), dryRun: z.boolean().default(false) })

async function discard(run: Run, options: z.infer<typeof discardSchema>, path: string): Promise<void> {
  const doing = `Discarding ${path}`
  requireAnswer(run, options, doing)
  const client = await run.client()
  const request = { method: 'POST' as const, path: '/api/storage/discard', body: { path: storagePath(path) } }
  const question = { question: 'Move it to the trash?', doing }
  if (!(await askWithPlans(run, client, [request], options, question))) return
  const started = await client.send('POST', request.path, request.body, operationAnswer)
  const operation = await followOperation(run.io, client, started.operation)
  run.output.done(`${path} is in the trash.`, { operation })
  sayNext(run, `Bring it back: sandlabx undo ${shortId(operation.id)}`)
}

async function space(run: Run): Promise<void> {
  const answer = await (await run.client()).get('/api/storage/space', spaceAnswer)
  if (run.output.json) run.output.done('', answer)
  else run.output.text(`${spaceLines(run.io, answer.space).join('\n')}\n`)
}
