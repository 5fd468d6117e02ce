import type { OperationPlan, SpaceNeed } from '../domain/plan.js'
import { formatBytes } from '../domain/units.js'
import { planAnswer } from './answers.js'
import type { PlanMethod } from './client.js'
import type { Io } from './io.js'
import type { Run } from './run.js'
import { forReaders, oneLine, paint, wrap } from './text.js'

/** The server would refuse it; the plan that says so has been shown. */
export class PlanRefused extends Error {
  readonly exitCode = 1
}

/** For `--dry-run`: steps, what is made and replaced, room, warnings. Throws PlanRefused when it would be refused. */
export async function dryRun(run: Run, method: PlanMethod, path: string, body?: unknown): Promise<void> {
  const { plan } = await (await run.client()).ask(method, path, body, planAnswer)
  showDryRun(run, [plan])
}

/** Several plans of one command: JSON has one as `plan`, more as `plans`. */
export function showDryRun(run: Run, plans: readonly OperationPlan[]): void {
  const refused = plans.some(({ refusal }) => refusal !== null)
  if (run.output.json) run.output.done('', plans.length === 1 ? { plan: plans[0] } : { plans })
  else {
    const { io } = run
    const verdict = refused ? 'It would be refused. Nothing was changed.' : 'This was a dry run: nothing was changed.'
    const lines = plans.flatMap((plan) => planLines(io, io.stdout, plan))
    run.output.text(`${[...lines, paint(io, io.stdout, 'dim', verdict)].join('\n')}\n`)
  }
  if (refused) throw new PlanRefused()
}

/** A heading and what is in the plan, as wide as the terminal that `stream` is. */
export function planLines(io: Io, stream: Io['stdout'] | Io['stderr'], plan: OperationPlan): string[] {
  const rows: [style: Parameters<typeof paint>[2], label: string, lines: string[]][] = [
    ['dim', 'Steps', plan.steps.map((step, index) => `${index + 1}. ${oneLine(step)}`)],
    ['dim', 'Creates', createdLines(plan)],
    ['yellow', 'Replaces', replacedLines(plan)],
    ['dim', 'Files', fileLines(plan)],
    ['dim', 'Space', plan.space.flatMap(spaceLines)],
    ['yellow', plan.warnings.length > 1 ? 'Warnings' : 'Warning', plan.warnings.map(oneLine)],
    ['red', 'Refused', refusalLines(plan)],
  ]
  const shown = rows.filter(([, , lines]) => lines.length > 0)
  const width = Math.max(8, ...shown.map(([, label]) => label.length))
  const room = stream.isTTY ? Math.max(40, (stream.columns || 80) - width - 2) : Infinity
  const body = shown.flatMap(([style, label, lines]) =>
    lines
      .flatMap((line) => (line.length > room ? wrap(line, room) : [line]))
      .map((line, index) => {
        const head = index === 0 ? label.padEnd(width) : ' '.repeat(width)
        return `${paint(io, stream, style, head)}  ${line}`
      }),
  )
  return [paint(io, stream, 'bold', oneLine(plan.title)), ...body]
}

/** Many names on one line: thirty nodes are no thirty lines. */
function createdLines({ creates }: OperationPlan): string[] {
  return (['node', 'snapshot', 'drive', 'layer', 'image'] as const).flatMap((type) => {
    const names = creates.filter((made) => made.type === type).map(({ name }) => name)
    const [first, second] = names
    if (first === undefined) return []
    if (names.length === 1) return [`${type} ${oneLine(first)}`]
    if (names.length === 2) return [`2 ${type}s: ${oneLine(first)}, ${oneLine(second ?? '')}`]
    return [`${names.length} ${type}s: ${oneLine(first)}, ${oneLine(second ?? '')} … ${oneLine(names.at(-1) ?? '')}`]
  })
}

function replacedLines({ replaces }: OperationPlan): string[] {
  return replaces.map(({ type, name, bytes, fate }) => {
    const hasType = name.startsWith(`${type} `) || name.startsWith(`${type}s `)
    return forReaders(`${hasType ? name : `${type} ${name}`} (${formatBytes(bytes)}) ${fate}`)
  })
}

/** As many of one fate as can be looked at; the rest are counted. */
const MOST_FILES = 8

/** By what becomes of them: each fate once, under it the files with their sizes. */
function fileLines({ files }: OperationPlan): string[] {
  const fates = [...new Set(files.map(({ fate }) => fate))]
  return fates.flatMap((fate) => {
    const all = files.filter((file) => file.fate === fate)
    const bytes = all.reduce((sum, file) => sum + file.bytes, 0)
    const disks = all.filter(({ path }) => !path.endsWith('.json')) // the small record beside each goes without saying
    const named = disks.length > 0 ? disks : all
    const shown = named.length <= MOST_FILES + 1 ? named : named.slice(0, MOST_FILES)
    const more = named.length - shown.length
    return [
      all.length === 1 ? `${forReaders(fate)}:` : `${forReaders(fate)}, ${formatBytes(bytes)} in all:`,
      ...shown.map((file) => ` ${oneLine(file.path)}  ${formatBytes(file.bytes)}`),
      ...(more > 0 ? [` … and ${more} more`] : []),
    ]
  })
}

/** The three figures of the seed's message: required with the margin, available, to free. */
function spaceLines({ path, requiredBytes, availableBytes, reservedBytes, freeUpBytes }: SpaceNeed): string[] {
  const reserved = reservedBytes > 0 ? ` (${formatBytes(reservedBytes)} more are reserved by running operations)` : ''
  const lines = [
    `${formatBytes(requiredBytes)} required in ${oneLine(path)}, a margin of 15 % included`,
    `${formatBytes(Math.max(0, availableBytes))} available${reserved}`,
  ]
  return freeUpBytes > 0 ? [...lines, `${formatBytes(freeUpBytes)} to free first`] : lines
}

function refusalLines({ refusal }: OperationPlan): string[] {
  if (!refusal) return []
  return [oneLine(refusal.message), ...(refusal.hint === undefined ? [] : [`→ ${oneLine(refusal.hint)}`])]
}
