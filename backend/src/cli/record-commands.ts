import type { Command } from 'commander'
import { z } from 'zod'
import { auditAnswer, rebuildAnswer } from './answers.js'
import type { Io } from './io.js'
import { wholeNumber } from './option-values.js'
import { sayNext } from './output.js'
import { noOptions, verb, type Run } from './run.js'
import { countNodes, localTime } from './text.js'

/** audit and state rebuild: what was done, and the records behind it. */
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
  const state = program.command('state').description('the file that names all nodes (administrators)')
  state
    .command('rebuild')
    .description('in safe mode: make it anew from the records beside the disks')
    .action(verb(io, noOptions, rebuild))
}

async function rebuild(run: Run): Promise<void> {
  const made = await (await run.client()).send('POST', '/api/system/rebuild', {}, rebuildAnswer)
  run.output.done(`The state is rebuilt: ${countNodes(made.nodes)}, ${made.images} images.`, made)
  for (const { login, nodes } of made.ownerless) {
    const whose = login === null ? 'an account that nobody remembers' : `${login}, who has no account now`
    const next = login === null ? '' : `: sandlabx user add ${login} gives them back`
    sayNext(run, `${countNodes(nodes)} belong to ${whose}${next}`)
  }
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
