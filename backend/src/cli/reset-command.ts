import type { Command } from 'commander'
import { z } from 'zod'
import { SandlabError } from '../domain/error.js'
import type { Operation } from '../domain/operation.js'
import { operationAnswer } from './answers.js'
import type { Client } from './client.js'
import { throwIfItemsFailed } from './failed-items.js'
import { followOperation, shortId } from './follow-operation.js'
import type { Io } from './io.js'
import { findNodes, findUser } from './names.js'
import { sayNext } from './output.js'
import { askWithPlans, requireAnswer } from './plan-question.js'
import { verb, type Run } from './run.js'
import { countNodes } from './text.js'

const EXAMPLES = `
Examples:
  sandlabx reset web                          a fresh disk over its base image
  sandlabx reset web --snapshot monday        as it was in this snapshot
  sandlabx reset --name 'web-*' --now         all that are called so; running ones are not asked
  sandlabx reset --owner anna --dry-run       what it would do to the nodes of anna
What is on the disks now moves to the trash; "sandlabx undo" with the id that is shown brings it back.`

export function addResetCommand(program: Command, io: Io): void {
  program
    .command('reset [node...]')
    .description('give nodes fresh disks over their base image, or over a snapshot')
    .option('--all', 'all nodes that you may change')
    .option('--owner <login>', 'all nodes of this person')
    .option('--name <pattern>', 'all nodes of this name, in which * stands for any letters')
    .option('--snapshot <name>', 'as they were in the snapshot of this name')
    .option('--now', 'switch running ones off without asking the guest')
    .option('--keep-going', 'reset those that can be reset; otherwise all or none')
    .option('--force', 'do not ask')
    .option('--dry-run', 'show what would be lost, and do nothing')
    .addHelpText('after', EXAMPLES)
    .action(verb(io, resetSchema, reset))
}

const resetSchema = z.object({
  all: z.boolean().default(false),
  owner: z.string().optional(),
  name: z.string().optional(),
  snapshot: z.string().optional(),
  now: z.boolean().default(false),
  keepGoing: z.boolean().default(false),
  force: z.boolean().default(false),
  dryRun: z.boolean().default(false),
})
type ResetOptions = z.infer<typeof resetSchema>

async function reset(run: Run, options: ResetOptions, names: string[]): Promise<void> {
  refuseCombinations(options, names)
  const doing = `Resetting ${whichOf(options, names)}`
  requireAnswer(run, options, doing)
  const client = await run.client()
  const body = { ...(await selection(client, options, names)), ...waysOf(options) }
  const question = { question: `Reset ${whichOf(options, names)}?`, doing }
  const request = { method: 'POST' as const, path: '/api/reset', body }
  if (!(await askWithPlans(run, client, [request], options, question))) return
  const { operation: started } = await client.send('POST', request.path, body, operationAnswer)
  const operation = await followOperation(run.io, client, started, { eachItem: true })
  tell(run, operation)
}

function refuseCombinations({ all, owner, name }: ResetOptions, names: string[]): void {
  const ways = [names.length > 0, all, owner !== undefined, name !== undefined].filter(Boolean).length
  if (ways === 1) return
  throw new SandlabError('bad_request', ways === 0 ? 'No node was given.' : 'Say in one way which nodes are meant.', {
    hint: 'Name them, or give one of --all, --owner LOGIN, --name PATTERN.',
  })
}

function whichOf({ all, owner, name }: ResetOptions, names: string[]): string {
  if (all) return 'all nodes that you may change'
  if (owner !== undefined) return `all nodes of ${owner}`
  return name === undefined ? names.join(', ') : `all nodes called ${name}`
}

async function selection(client: Client, { all, owner, name }: ResetOptions, names: string[]) {
  if (all) return { all: true }
  if (owner !== undefined) return { ownerId: (await findUser(client, owner)).id }
  return name === undefined ? { nodeIds: (await findNodes(client, names)).map(({ id }) => id) } : { name }
}

/** What was not said is left to the server. */
function waysOf({ snapshot, now, keepGoing }: ResetOptions) {
  return { snapshot, ...(now ? { now } : {}), ...(keepGoing ? { keepGoing } : {}) }
}

function tell(run: Run, operation: Operation): void {
  const { items } = operation
  const done = items.filter(({ error }) => error === null).length
  const [only] = items
  const sentence = items.length === 1 && only ? `${only.name} is reset.` : `${countNodes(done)} reset.`
  if (done > 0 || run.output.json) run.output.done(sentence, { operation })
  if (done > 0) sayNext(run, `Bring back what was there: sandlabx undo ${shortId(operation.id)}`)
  throwIfItemsFailed(operation, 'reset')
}
