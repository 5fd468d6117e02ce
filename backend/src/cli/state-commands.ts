import { execFile } from 'node:child_process'
import { dirname, join, resolve } from 'node:path'
import type { Command } from 'commander'
import { z } from 'zod'
import { isSandlabError, knownCode, SandlabError } from '../domain/error.js'
import {
  stateCheckSchema,
  stateRestorePlanSchema,
  type StateCheck,
  type StateRequest,
  type StateRestorePlan,
  type StateSource,
} from '../domain/state-check.js'
import { ProblemsFound } from './doctor.js'
import { canAsk, type Io } from './io.js'
import { localLayout } from './local-backend.js'
import { addMigrateCommand } from './migrate-command.js'
import { askConfirmation } from './prompts.js'
import { noOptions, verb, type Run } from './run.js'
import { oneLine, paint } from './text.js'

/** state check, state restore and state migrate: the files themselves, on this machine, while no backend runs. */
export function addStateCommands(program: Command, io: Io): void {
  const known = program.commands.find((command) => command.name() === 'state')
  const state = known ?? program.command('state').description('the file that names all nodes (administrators)')
  state
    .command('check')
    .description(
      'look whether it can be read and agrees with the files, here and while SandLabX is stopped; exit 3 if not',
    )
    .action(verb(io, noOptions, check))
  state
    .command('restore')
    .description('put a backup of it in place, here and while SandLabX is stopped; what it replaces is kept')
    .option('--previous', 'the last good one before it')
    .option('--from <file>', 'this backup')
    .option('--dry-run', 'show what would change')
    .option('--force', 'do not ask')
    .action(verb(io, restoreSchema, restore))
  addMigrateCommand(state, io)
}

async function check(run: Run): Promise<void> {
  const found = await ask(run, { verb: 'check', layout: localLayout(run.io, run.dataDir) }, stateCheckSchema)
  if (run.output.json) run.output.done('', found)
  else run.output.text(`${checkLines(run, found).join('\n')}\n`)
  if (!found.ok) throw new ProblemsFound()
}

function checkLines({ io }: Run, { ok, usable, lines }: StateCheck): string[] {
  const marks = lines.map((line) => {
    const mark = line.ok ? paint(io, io.stdout, 'green', '✓') : paint(io, io.stdout, 'red', '✗')
    return `${mark} ${oneLine(line.subject)}: ${oneLine(line.message)}`
  })
  if (ok) return [...marks, 'The state is sound.']
  const next = {
    current: 'SandLabX can start with it. See what each line says; "sandlabx storage verify --all" offers repairs.',
    previous: 'SandLabX can start with the one before it: "sandlabx state restore --previous", or just start it.',
    none: 'Restore a backup with "sandlabx state restore --from FILE", or start SandLabX and rebuild the state.',
  }
  return [...marks, next[usable]]
}

const restoreSchema = z
  .object({
    previous: z.boolean().default(false),
    from: z.string().optional(),
    dryRun: z.boolean().default(false),
    force: z.boolean().default(false),
  })
  .refine(({ previous, from }) => previous !== (from !== undefined), {
    message: 'Say which: --previous, or --from FILE.',
  })

async function restore(run: Run, { from, dryRun, force }: z.infer<typeof restoreSchema>): Promise<void> {
  const layout = localLayout(run.io, run.dataDir)
  const source: StateSource = from === undefined ? { previous: true } : { from: resolve(from) }
  const plan = await ask(run, { verb: 'plan', layout, source }, stateRestorePlanSchema)
  if (dryRun) {
    if (run.output.json) run.output.done('', { plan })
    else run.output.text(`${[...planLines(plan), 'This was a dry run: nothing was changed.'].join('\n')}\n`)
    return
  }
  if (!run.output.json) run.io.stderr.write(`${planLines(plan).join('\n')}\n`)
  if (!force) await askFirst(run.io)
  const request: StateRequest = { verb: 'restore', layout, source, token: plan.token }
  const done = await ask(run, request, stateRestorePlanSchema)
  const kept = done.aside === null ? '' : ` What was there is ${done.aside}.`
  run.output.done(`The state is restored from ${done.from}.${kept}`, { restored: done })
}

async function askFirst(io: Io): Promise<void> {
  if (!canAsk(io)) {
    throw new SandlabError('bad_request', 'Restoring the state asks first, and there is no terminal to ask on.', {
      hint: 'Give --force, or --dry-run to see what would change.',
    })
  }
  if (await askConfirmation(io, 'Put it in place?')) return
  throw new SandlabError('cancelled', 'Cancelled; nothing was changed.')
}

function planLines(plan: StateRestorePlan): string[] {
  const changes = (['nodes', 'images', 'snapshots'] as const).flatMap((what) => {
    const { comes, goes, changes: changed } = plan[what]
    return [
      ...listed(`${what} that come back`, comes),
      ...listed(`${what} that leave the list (their files stay)`, goes),
      ...listed(`${what} that change`, changed),
    ]
  })
  return [
    `Restore ${oneLine(plan.from)} (revision ${plan.revision}, schema ${plan.schema}) as ${oneLine(plan.to)}`,
    ...(plan.aside === null ? [] : [`  What is there now is kept as ${oneLine(plan.aside)}`]),
    ...(changes.length === 0 ? ['  The records are the same.'] : changes),
    ...plan.warnings.map((warning) => `  Warning: ${oneLine(warning)}`),
  ]
}

const NAMED = 20

function listed(what: string, names: readonly string[]): string[] {
  if (names.length === 0) return []
  const more = names.length > NAMED ? `, and ${names.length - NAMED} more` : ''
  return [`  ${names.length} ${what}: ${oneLine(names.slice(0, NAMED).join(', '))}${more}`]
}

const errorSchema = z.object({
  error: z.object({ code: z.string(), message: z.string(), hint: z.string().optional() }),
})
const ANSWER_BYTES = 64 * 1024 ** 2

/** Asks the process that knows the state's files. Throws what it says. */
async function ask<T>(run: Run, request: StateRequest, schema: z.ZodType<T>): Promise<T> {
  const script = join(dirname(run.io.serverScript), 'state', 'state-tool.js')
  const { stdout, stderr } = await new Promise<{ stdout: string; stderr: string }>((settle) => {
    const { PATH } = run.io.env
    const options = { maxBuffer: ANSWER_BYTES, env: PATH === undefined ? {} : { PATH } }
    execFile(process.execPath, [script, JSON.stringify(request)], options, (_error, out, err) =>
      settle({ stdout: out, stderr: err }),
    )
  })
  try {
    const answer: unknown = JSON.parse(stdout)
    const failed = errorSchema.safeParse(answer).data
    if (failed) throw new SandlabError(knownCode(failed.error.code), failed.error.message, { hint: failed.error.hint })
    return schema.parse(answer)
  } catch (error) {
    if (isSandlabError(error)) throw error
    throw new SandlabError('internal', `The state's own process did not answer. ${stderr.trim()}`, { cause: error })
  }
}
