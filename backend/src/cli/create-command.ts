import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { z } from 'zod'
import { SandlabError } from '../domain/error.js'
import { newNodeAnswer, operationAnswer } from './answers.js'
import { readClassList } from './class-list.js'
import type { Client } from './client.js'
import { followToEnd } from './follow-operation.js'
import type { Io } from './io.js'
import { showMade, throwUnlessAllWell } from './made-nodes.js'
import { findUser } from './names.js'
import { nodeFacts } from './node-views.js'
import { collect, diskBytes, memoryMib, wholeNumber } from './option-values.js'
import { dryRun } from './plan-view.js'
import { startProgress } from './progress.js'
import { askPassword, readSecretFromStdin } from './prompts.js'
import { verb, type Run } from './run.js'

const EXAMPLES = `
Examples:
  sandlabx create web --image debian-12 --start
  sandlabx create --count 30 --name 'web-{nn}' --image debian-12     web-01 to web-30, all or none
  sandlabx create --from class.csv --name web --image debian-12      a "web" for each person of the list

The list has a heading: name, owner (a login), user (the guest's account); each column may be left out.`

export function addCreateCommand(program: Command, io: Io): void {
  program
    .command('create [name]')
    .description('make nodes from a base image: one, many by a pattern, or one for each line of a list')
    .requiredOption('--image <id>', 'base image; see "sandlabx image ls"')
    .option('--cpus <number>', 'virtual CPUs', wholeNumber)
    .option('--memory <size>', 'memory, like 512M', memoryMib)
    .option('--disk <size>', 'root disk, at least the size of the image, like 10G', diskBytes)
    .option('--owner <login>', 'whose node it is; yours unless told')
    .option('--internet', 'let it reach the internet (instructors and administrators)')
    .option(
      '--agent',
      "a port for the guest's agent: frozen snapshots, and its clock after a resume; as the image says unless told",
    )
    .option('--no-agent', 'no such port')
    .option('--user <name>', "the guest's account")
    .option('--password [password]', "the guest account's password; asked for when left out")
    .option('--password-stdin', 'read that password from standard input')
    .option('--ssh-key <file>', 'public key for the guest account; may be repeated', collect)
    .option('--start', 'start it as soon as it is made')
    .option('--count <number>', 'how many; the name then has {n} for the number, or {nn} for two digits', wholeNumber)
    .option('--name <name>', 'name or pattern, instead of the first argument')
    .option('--from <file>', 'a list of nodes as CSV')
    .option('--keep-going', 'of many, make those that can be made; otherwise all or none')
    .option('--dry-run', 'show what would be done, and do nothing')
    .addHelpText('after', EXAMPLES)
    .action(verb(io, createOptionsSchema, create))
}

const createOptionsSchema = z.object({
  image: z.string(),
  cpus: z.number().optional(),
  memory: z.number().optional(),
  disk: z.number().optional(),
  owner: z.string().optional(),
  internet: z.boolean().default(false),
  agent: z.boolean().optional(),
  user: z.string().optional(),
  password: z.union([z.string(), z.literal(true)]).optional(),
  passwordStdin: z.boolean().default(false),
  sshKey: z.array(z.string()).default([]),
  start: z.boolean().default(false),
  count: z.number().optional(),
  name: z.string().optional(),
  from: z.string().optional(),
  keepGoing: z.boolean().default(false),
  dryRun: z.boolean().default(false),
})
type CreateOptions = z.infer<typeof createOptionsSchema>

async function create(run: Run, options: CreateOptions, argument: string | undefined): Promise<void> {
  const name = nameOf(options, argument)
  const guestPassword = await givenPassword(run, options)
  const sshKeys = (await Promise.all(options.sshKey.map(readPublicKeys))).flat()
  const client = await run.client()
  const ownerId = options.owner === undefined ? undefined : (await findUser(client, options.owner)).id
  const template = {
    image: options.image,
    cpus: options.cpus,
    memoryMib: options.memory,
    diskBytes: options.disk,
    ownerId,
    internet: options.internet,
    agent: options.agent,
    guestUser: options.user,
    guestPassword,
    sshKeys,
    start: options.start,
  }
  if (options.from !== undefined) {
    const nodes = await readClassList(client, options.from, name)
    await createMany(run, client, options, { template, nodes, keepGoing: options.keepGoing })
  } else if (options.count !== undefined) {
    await createMany(run, client, options, { template, count: options.count, name, keepGoing: options.keepGoing })
  } else {
    await createOne(run, client, options, { name, ...template })
  }
}

/** The name, as argument or option; none is needed where a list has them. Throws `bad_request`. */
function nameOf(options: CreateOptions, argument: string | undefined): string | undefined {
  const { name = argument, count, from } = options
  const usage = (message: string, hint: string) => new SandlabError('bad_request', message, { hint })
  if (argument !== undefined && options.name !== undefined) {
    throw usage('The name was given twice.', 'Give it as the first argument or with --name.')
  }
  if (from !== undefined && count !== undefined) {
    throw usage("--count can't be given with --from.", 'The list says how many nodes there are.')
  }
  if (name === undefined && from === undefined) throw usage('The node needs a name.', 'Like "sandlabx create web-1".')
  if (options.keepGoing && count === undefined && from === undefined) {
    throw usage('--keep-going is for many nodes.', 'Give --count or --from.')
  }
  return name
}

async function createOne(run: Run, client: Client, options: CreateOptions, body: Record<string, unknown>) {
  if (options.dryRun) {
    await dryRun(run, 'POST', '/api/nodes', body)
    return
  }
  const progress = startProgress(run.io, `Creating ${String(body['name'])}${options.start ? ' and starting it' : ''}`)
  const answer = await client.send('POST', '/api/nodes', body, newNodeAnswer).finally(() => progress.clear())
  const facts = nodeFacts(answer.node)
  if (answer.guestPassword !== null) facts.push(['Password', `${answer.guestPassword} (shown this once)`])
  run.output.facts(facts, answer)
  const { name, id } = answer.node
  if (answer.startError) throwUnlessAllWell({ items: [{ name, id, state: 'failed', error: answer.startError }] })
}

async function createMany(run: Run, client: Client, options: CreateOptions, body: Record<string, unknown>) {
  const path = '/api/nodes/batch'
  if (options.dryRun) {
    await dryRun(run, 'POST', path, body)
    return
  }
  const { operation: started } = await client.send('POST', path, body, operationAnswer)
  const { operation, failure } = await followToEnd(run.io, client, started)
  const someMade = operation.items.some(({ id }) => id !== null) && operation.outcome !== 'rolled-back'
  if (someMade) await showMade(run, client, operation)
  if (failure) throw failure // with --keep-going it has made nodes, too
  throwUnlessAllWell(operation)
}

async function givenPassword(
  run: Run,
  options: { password?: string | true | undefined; passwordStdin: boolean },
): Promise<string | undefined> {
  if (options.passwordStdin) return readSecretFromStdin(run.io)
  return options.password === true ? askPassword(run.io, "The guest account's password") : options.password
}

/** Each non-empty line of an OpenSSH `.pub` or `authorized_keys` file. */
async function readPublicKeys(file: string): Promise<string[]> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    throw new SandlabError('bad_request', `The SSH key file ${file} can't be read.`, { cause: error })
  }
  if (text.includes('PRIVATE KEY')) {
    throw new SandlabError('bad_request', `The file ${file} holds a private key.`, {
      hint: 'Give the public one; it usually ends in .pub.',
    })
  }
  const lines = text.split('\n').map((line) => line.trim())
  return lines.filter((line) => line !== '' && !line.startsWith('#'))
}
