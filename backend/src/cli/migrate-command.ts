import { spawn } from 'node:child_process'
import { dirname, join, resolve } from 'node:path'
import type { Command } from 'commander'
import { z } from 'zod'
import { isSandlabError, knownCode, SandlabError } from '../domain/error.js'
import {
  migrationDiscardSchema,
  migrationPlanSchema,
  migrationReportSchema,
  type MigrateRequest,
  type MigrateWish,
  type MigrationDiscard,
  type MigrationReport,
} from '../domain/migration.js'
import { formatBytes } from '../domain/units.js'
import { ProblemsFound } from './doctor.js'
import { canAsk, type Io } from './io.js'
import { migrationPlanLines, migrationReportLines } from './migrate-views.js'
import { askConfirmation } from './prompts.js'
import { verb, type Run } from './run.js'
import { oneLine } from './text.js'

const collect = (value: string, known: string[]) => [...known, value]

/** state migrate: brings an older SandLabX over, on this machine, while no backend runs. `migrate-state.sh` calls it. */
export function addMigrateCommand(state: Command, io: Io): void {
  state
    .command('migrate')
    .description('bring the nodes of an older SandLabX over, with their disks, here and while SandLabX is stopped')
    .option(
      '--from <folder>',
      'an old installation: its state file, overlays/, images/, a *.sql dump (again for more)',
      collect,
      [],
    )
    .option('--owner <login>', 'who gets nodes without an owner; else the first administrator')
    .option('--without <name>', 'leave this node behind (again for more)', collect, [])
    .option('--dry-run', 'show what would be done, and change nothing')
    .option('-y, --yes', 'do not ask')
    .option('--delete-old', 'delete the old disks afterwards, those that were copied and compared')
    .option('--delete-old-of <report>', 'only delete the old disks of this report.json of an earlier run')
    .action(verb(io, optionsSchema, migrate))
}

const optionsSchema = z.object({
  from: z.array(z.string()),
  owner: z.string().optional(),
  without: z.array(z.string()),
  dryRun: z.boolean().default(false),
  yes: z.boolean().default(false),
  deleteOld: z.boolean().default(false),
  deleteOldOf: z.string().optional(),
})
type Options = z.infer<typeof optionsSchema>

async function migrate(run: Run, options: Options): Promise<void> {
  if (options.deleteOldOf !== undefined) {
    await discard(run, resolve(options.deleteOldOf), options)
    return
  }
  const wish: MigrateWish = {
    // Without a word: a clone in which the older one ran.
    from: (options.from.length > 0 ? options.from : [run.dataDir]).map((folder) => resolve(folder)),
    ...(options.owner === undefined ? {} : { owner: options.owner }),
    without: options.without,
  }
  const plan = await ask(run, { verb: 'plan', ...wish }, migrationPlanSchema)
  const lines = migrationPlanLines(plan)
  if (options.dryRun) {
    if (run.output.json) run.output.done('', { plan })
    else run.output.text(`${[...lines, 'This was a dry run: nothing was changed.'].join('\n')}\n`)
    if (plan.nodes.some(({ action }) => action === 'left-out')) throw new ProblemsFound()
    return
  }
  if (!run.output.json) run.io.stderr.write(`${lines.join('\n')}\n`)
  const isWork = plan.nodes.some(({ action }) => action === 'copy' || action === 'empty') || plan.accounts.length > 0
  if (isWork && !options.yes) await askFirst(run.io, 'Bring them over?', 'Migrating')
  const report = await ask(run, { verb: 'run', ...wish, token: plan.token }, migrationReportSchema)
  const discarded = await offerDeletion(run, report, options)
  if (run.output.json) run.output.done('', { report, discarded })
  else run.output.text(`${migrationReportLines(report).join('\n')}\n${discarded ? `${discardLine(discarded)}\n` : ''}`)
  if (report.plan.nodes.some(({ action }) => action === 'left-out')) throw new ProblemsFound()
}

/** Only what came over and was compared; on a terminal it is asked, else nothing is deleted without a word. */
async function offerDeletion(run: Run, report: MigrationReport, options: Options): Promise<MigrationDiscard | null> {
  const { removable, backup } = report
  if (removable.length === 0 || backup === null) return null
  const bytes = removable.reduce((sum, one) => sum + one.bytes, 0)
  const question = `Delete the ${removable.length} old disks (${formatBytes(bytes)})? The new ones were compared with them.`
  const isWanted = options.deleteOld || (!options.yes && canAsk(run.io) && (await askConfirmation(run.io, question)))
  if (!isWanted) return null
  return ask(run, { verb: 'discard', report: join(backup, 'report.json') }, migrationDiscardSchema)
}

async function discard(run: Run, report: string, { yes }: Options): Promise<void> {
  if (!yes) await askFirst(run.io, `Delete the old disks that ${report} names?`, 'Deleting old disks')
  const done = await ask(run, { verb: 'discard', report }, migrationDiscardSchema)
  run.output.done(discardLine(done), done)
}

function discardLine({ removed, kept, freedBytes }: MigrationDiscard): string {
  const stayed = kept.map(({ path, reason }) => ` ${oneLine(path)} stays: ${reason}.`)
  return `Deleted ${removed.length} old disks (${formatBytes(freedBytes)}).${stayed.join('')}`
}

async function askFirst(io: Io, question: string, doing: string): Promise<void> {
  if (!canAsk(io)) {
    throw new SandlabError('bad_request', `${doing} asks first, and there is no terminal to ask on.`, {
      hint: 'Give --yes, or --dry-run to see what would be done.',
    })
  }
  if (await askConfirmation(io, question)) return
  throw new SandlabError('cancelled', 'Cancelled; nothing was changed.')
}

const errorSchema = z.object({
  error: z.object({ code: z.string(), message: z.string(), hint: z.string().optional() }),
})

/**
 * Asks the migration's own process, which has a backend's environment; its progress goes on to standard error. A signal
 * is passed on: then it takes everything back before it ends. Throws what it says.
 */
async function ask<T>(run: Run, request: MigrateRequest, schema: z.ZodType<T>): Promise<T> {
  const { io, dataDir, output } = run
  const script = join(dirname(io.serverScript), 'migration', 'migrate-tool.js')
  const child = spawn(process.execPath, [script, JSON.stringify(request)], {
    env: { ...io.env, SANDLABX_DATA: dataDir },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true, // a Ctrl-C on the terminal comes through us, once
  })
  const unsubscribe = io.onSignal((signal) => void child.kill(signal))
  let [answer, said] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (answer += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-10_000)
    if (!output.json) io.stderr.write(text)
  })
  await new Promise<void>((settle, reject) => child.once('close', () => settle()).once('error', reject))
  unsubscribe()
  try {
    const value: unknown = JSON.parse(answer)
    const failed = errorSchema.safeParse(value).data
    if (failed) throw new SandlabError(knownCode(failed.error.code), failed.error.message, { hint: failed.error.hint })
    return schema.parse(value)
  } catch (error) {
    if (isSandlabError(error)) throw error
    throw new SandlabError('internal', `The migration's own process did not answer. ${said.trim()}`, { cause: error })
  }
}
