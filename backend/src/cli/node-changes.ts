import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { z } from 'zod'
import { SandlabError } from '../domain/error.js'
import type { NodeView } from '../domain/node.js'
import { formatBytes } from '../domain/units.js'
import { deletePlanAnswer, newNodeAnswer, nodeAnswer, type DeletePlan } from './answers.js'
import { canAsk, type Io } from './io.js'
import { findNode, findUser } from './names.js'
import { nodeFacts } from './node-views.js'
import { collect, diskBytes, memoryMib, wholeNumber } from './option-values.js'
import { startProgress } from './progress.js'
import { askConfirmation, askPassword, readSecretFromStdin } from './prompts.js'
import { noOptions, verb, type Run } from './run.js'

/** create, rename, set, delete: what changes which nodes there are and what they are. */
export function addNodeChangeCommands(program: Command, io: Io): void {
  program
    .command('create <name>')
    .description('make a node from a base image')
    .requiredOption('--image <id>', 'base image; see "sandlabx image ls"')
    .option('--cpus <number>', 'virtual CPUs', wholeNumber)
    .option('--memory <size>', 'memory, like 512M', memoryMib)
    .option('--disk <size>', 'root disk, at least the size of the image, like 10G', diskBytes)
    .option('--owner <login>', 'whose node it is; yours unless told')
    .option('--internet', 'let it reach the internet (instructors and administrators)')
    .option('--user <name>', "the guest's account")
    .option('--password [password]', "the guest account's password; asked for when left out")
    .option('--password-stdin', 'read that password from standard input')
    .option('--ssh-key <file>', 'public key for the guest account; may be repeated', collect)
    .option('--start', 'start it as soon as it is made')
    .action(verb(io, createOptionsSchema, create))
  program
    .command('rename <node> <new-name>')
    .description('rename a node')
    .action(verb(io, noOptions, rename))
  program
    .command('set <node>')
    .description('change a stopped node')
    .option('--cpus <number>', 'virtual CPUs', wholeNumber)
    .option('--memory <size>', 'memory, like 512M', memoryMib)
    .option('--internet', 'let it reach the internet from the next start on')
    .option('--no-internet', 'keep it off the internet from the next start on')
    .action(verb(io, setOptionsSchema, set))
  program
    .command('delete <node>')
    .description('delete a node; its storage is kept unless told')
    .option('--delete-storage', 'move its disk to the trash as well')
    .option('--force', 'do not ask')
    .action(verb(io, deleteOptionsSchema, remove))
}

const createOptionsSchema = z.object({
  image: z.string(),
  cpus: z.number().optional(),
  memory: z.number().optional(),
  disk: z.number().optional(),
  owner: z.string().optional(),
  internet: z.boolean().default(false),
  user: z.string().optional(),
  password: z.union([z.string(), z.literal(true)]).optional(),
  passwordStdin: z.boolean().default(false),
  sshKey: z.array(z.string()).default([]),
  start: z.boolean().default(false),
})

async function create(run: Run, options: z.infer<typeof createOptionsSchema>, name: string): Promise<void> {
  const guestPassword = await givenPassword(run, options)
  const sshKeys = (await Promise.all(options.sshKey.map(readPublicKeys))).flat()
  const client = await run.client()
  const ownerId = options.owner === undefined ? undefined : (await findUser(client, options.owner)).id
  const progress = startProgress(run.io, `Creating ${name}${options.start ? ' and starting it' : ''}`)
  const body = {
    name,
    image: options.image,
    cpus: options.cpus,
    memoryMib: options.memory,
    diskBytes: options.disk,
    ownerId,
    internet: options.internet,
    guestUser: options.user,
    guestPassword,
    sshKeys,
    start: options.start,
  }
  const answer = await client.send('POST', '/api/nodes', body, newNodeAnswer).finally(() => progress.clear())
  const facts = nodeFacts(answer.node)
  if (answer.guestPassword !== null) facts.push(['Password', `${answer.guestPassword} (shown this once)`])
  run.output.facts(facts, answer)
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

const setOptionsSchema = z.object({
  cpus: z.number().optional(),
  memory: z.number().optional(),
  internet: z.boolean().optional(),
})

async function set(run: Run, options: z.infer<typeof setOptionsSchema>, name: string): Promise<void> {
  const wanted = { cpus: options.cpus, memoryMib: options.memory, internet: options.internet }
  if (Object.values(wanted).every((value) => value === undefined)) {
    throw new SandlabError('bad_request', 'Nothing to change was given.', {
      hint: 'Give --cpus, --memory, --internet or --no-internet.',
    })
  }
  const { node } = await change(run, name, wanted)
  run.output.done(
    `${node.name} has ${node.cpus} CPUs, ${node.memoryMib} MiB, ${node.internet ? 'internet' : 'no internet'}.`,
    { node },
  )
}

async function rename(run: Run, _options: unknown, name: string, newName: string): Promise<void> {
  const { node } = await change(run, name, { name: newName })
  run.output.done(`${name} is now called ${node.name}.`, { node })
}

async function change(run: Run, name: string, wanted: Record<string, unknown>): Promise<{ node: NodeView }> {
  const client = await run.client()
  const { id } = await findNode(client, name)
  return client.send('PATCH', `/api/nodes/${id}`, wanted, nodeAnswer)
}

const deleteOptionsSchema = z.object({
  deleteStorage: z.boolean().default(false),
  force: z.boolean().default(false),
})

async function remove(run: Run, options: z.infer<typeof deleteOptionsSchema>, name: string): Promise<void> {
  if (!options.force && !canAsk(run.io)) {
    throw new SandlabError('bad_request', `Deleting "${name}" asks first, and there is no terminal to ask on.`, {
      hint: 'Add --force.',
    })
  }
  const client = await run.client()
  const node = await findNode(client, name)
  const query = options.deleteStorage ? '?deleteStorage=true' : ''
  const { plan } = await client.get(`/api/nodes/${node.id}/delete-plan`, deletePlanAnswer)
  if (!options.force) {
    run.io.stderr.write(`${describePlan(plan, options.deleteStorage)}\n`)
    if (!(await askConfirmation(run.io, `Delete ${node.name}?`))) {
      throw new SandlabError('cancelled', `${node.name} was not deleted.`)
    }
  }
  await client.sendForNothing('DELETE', `/api/nodes/${node.id}${query}`)
  const storage = options.deleteStorage ? 'its storage is in the trash' : 'its storage is kept'
  run.output.done(`${node.name} is deleted; ${storage}.`, { deleted: { id: node.id, name: node.name }, plan })
}

/** What goes and what stays, with paths and sizes. */
export function describePlan(plan: DeletePlan, deleteStorage: boolean): string {
  const lines = [`The node ${plan.node.name} (${plan.node.id}) is deleted.`]
  lines.push(deleteStorage ? 'Moved to the trash:' : 'Kept on the disk:')
  for (const file of plan.files) {
    const size = file.bytes === null ? '' : `, ${formatBytes(file.bytes)}`
    lines.push(`  ${file.path} (${file.what}${size})`)
  }
  if (plan.files.length === 0) lines.push('  nothing')
  return lines.join('\n')
}
