import type { Command } from 'commander'
import { z } from 'zod'
import { SandlabError } from '../domain/error.js'
import type { NodeView } from '../domain/node.js'
import { formatBytes } from '../domain/units.js'
import { deletePlanAnswer, nodeAnswer, type DeletePlan } from './answers.js'
import { canAsk, type Io } from './io.js'
import { findNode } from './names.js'
import { memoryMib, wholeNumber } from './option-values.js'
import { dryRun } from './plan-view.js'
import { askConfirmation } from './prompts.js'
import { noOptions, verb, type Run } from './run.js'

/** rename, set, delete: what changes nodes that exist. */
export function addNodeChangeCommands(program: Command, io: Io): void {
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
    .option('--dry-run', 'show what would be done, and do nothing')
    .action(verb(io, deleteOptionsSchema, remove))
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
  dryRun: z.boolean().default(false),
})

async function remove(run: Run, options: z.infer<typeof deleteOptionsSchema>, name: string): Promise<void> {
  if (!options.force && !options.dryRun && !canAsk(run.io)) {
    throw new SandlabError('bad_request', `Deleting "${name}" asks first, and there is no terminal to ask on.`, {
      hint: 'Add --force.',
    })
  }
  const client = await run.client()
  const node = await findNode(client, name)
  const query = options.deleteStorage ? '?deleteStorage=true' : ''
  if (options.dryRun) {
    await dryRun(run, 'DELETE', `/api/nodes/${node.id}${query}`)
    return
  }
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
