import type { Command } from 'commander'
import { z } from 'zod'
import { SandlabError } from '../domain/error.js'
import type { NodeView } from '../domain/node.js'
import type { Client } from './client.js'
import type { Io } from './io.js'
import { findNodes } from './names.js'
import { sayNext } from './output.js'
import { askWithPlans, requireAnswer } from './plan-question.js'
import { startProgress } from './progress.js'
import { verb, type Run } from './run.js'
import { countNodes } from './text.js'

const EXAMPLES = `
Examples:
  sandlabx delete web                                      its disks stay and can be attached again
  sandlabx delete web --delete-storage                     its disks move to the trash
  sandlabx delete web --delete-storage --keep-snapshots    the same, but its snapshots stay
  sandlabx delete web-1 web-2 --force                      asks nothing; needed where there is no terminal`

export function addDeleteCommand(program: Command, io: Io): void {
  program
    .command('delete <node...>')
    .description('delete nodes; their storage is kept unless told')
    .option('--delete-storage', 'move their disks to the trash as well')
    .option('--keep-snapshots', 'with --delete-storage: all but the snapshots')
    .option('--force', 'do not ask')
    .option('--dry-run', 'show what would be done, and do nothing')
    .addHelpText('after', EXAMPLES)
    .action(verb(io, deleteOptionsSchema, remove))
}

const deleteOptionsSchema = z.object({
  deleteStorage: z.boolean().default(false),
  keepSnapshots: z.boolean().default(false),
  force: z.boolean().default(false),
  dryRun: z.boolean().default(false),
})
type DeleteOptions = z.infer<typeof deleteOptionsSchema>

async function remove(run: Run, options: DeleteOptions, names: string[]): Promise<void> {
  const doing = `Deleting ${names.map((name) => `"${name}"`).join(', ')}`
  requireAnswer(run, options, doing)
  const client = await run.client()
  const nodes = await findNodes(client, names)
  const requests = nodes.map((node) => ({ method: 'DELETE' as const, path: pathOf(node, options) }))
  const [first] = nodes
  const which = nodes.length === 1 && first ? first.name : `these ${countNodes(nodes.length)}`
  const plans = await askWithPlans(run, client, requests, options, {
    question: `Delete ${which}${options.deleteStorage ? ' and the storage' : ''}?`,
    doing,
    wayOut: (code) => (code === 'wrong_status' ? `sandlabx stop ${names.join(' ')}` : undefined),
    advice: options.deleteStorage ? undefined : 'The storage is KEPT: it can be attached again.',
  })
  if (!plans) return
  const deleted = await deleteAll(run, client, nodes, options)
  const raw = { deleted: deleted.map(({ id, name }) => ({ id, name })), plans }
  if (run.output.json) run.output.done('', nodes.length === 1 ? { deleted: raw.deleted[0], plan: plans[0] } : raw)
}

function pathOf({ id }: NodeView, { deleteStorage, keepSnapshots }: DeleteOptions): string {
  const query = [...(deleteStorage ? ['deleteStorage=true'] : []), ...(keepSnapshots ? ['keepSnapshots=true'] : [])]
  return `/api/nodes/${id}${query.length > 0 ? `?${query.join('&')}` : ''}`
}

/** One after the other; the first failure ends it, since the plans were for all of them. */
async function deleteAll(run: Run, client: Client, nodes: NodeView[], options: DeleteOptions): Promise<NodeView[]> {
  const deleted: NodeView[] = []
  for (const node of nodes) {
    const progress = startProgress(run.io, `Deleting ${node.name}`)
    try {
      await client.sendForNothing('DELETE', pathOf(node, options))
    } catch (error) {
      progress.clear()
      throw deleted.length > 0 ? afterOthers(error, deleted) : error
    }
    progress.clear()
    deleted.push(node)
    if (!run.output.json) run.output.done(`${node.name} is deleted; ${fateOf(options)}.`, {})
  }
  for (const node of deleted) sayNext(run, wayBack(node, options))
  return deleted
}

function fateOf({ deleteStorage, keepSnapshots }: DeleteOptions): string {
  if (!deleteStorage) return 'its storage is kept'
  return keepSnapshots ? 'its disks are in the trash, its snapshots are kept' : 'its storage is in the trash'
}

function wayBack({ name, overlayPath }: NodeView, { deleteStorage }: DeleteOptions): string {
  return deleteStorage
    ? `Bring it back: sandlabx trash restore ${name}`
    : `Bring it back: sandlabx storage attach ${name} ${overlayPath}`
}

function afterOthers(error: unknown, deleted: readonly NodeView[]): unknown {
  if (!(error instanceof SandlabError)) return error
  const done = `${deleted.map(({ name }) => name).join(', ')} ${deleted.length === 1 ? 'is' : 'are'} deleted.`
  return new SandlabError(error.code, `${error.message} ${done}`, { hint: error.hint, cause: error })
}
