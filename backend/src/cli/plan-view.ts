import type { OperationPlan, SpaceNeed } from '../domain/plan.js'
import { formatBytes } from '../domain/units.js'
import { planAnswer } from './answers.js'
import type { Run } from './run.js'
import { oneLine, paint, wrap } from './text.js'

/** The server would refuse it; the plan that says so has been shown. */
export class PlanRefused extends Error {
  readonly exitCode = 1
}

/** For `--dry-run`: steps, what is made and replaced, room, warnings. Throws PlanRefused when it would be refused. */
export async function dryRun(run: Run, method: 'POST' | 'DELETE', path: string, body?: unknown): Promise<void> {
  const { plan } = await (await run.client()).ask(method, path, body, planAnswer)
  if (run.output.json) run.output.done('', { plan })
  else run.output.text(`${planLines(run, plan).join('\n')}\n`)
  if (plan.refusal) throw new PlanRefused()
}

function planLines(run: Run, plan: OperationPlan): string[] {
  const { io } = run
  const rows: [style: Parameters<typeof paint>[2], label: string, lines: string[]][] = [
    ['dim', 'Steps', plan.steps.map((step, index) => `${index + 1}. ${oneLine(step)}`)],
    ['dim', 'Creates', createdLines(plan)],
    ['yellow', 'Replaces', replacedLines(plan)],
    ['dim', 'Space', plan.space.flatMap(spaceLines)],
    ['yellow', plan.warnings.length > 1 ? 'Warnings' : 'Warning', plan.warnings.map(oneLine)],
    ['red', 'Refused', refusalLines(plan)],
  ]
  const shown = rows.filter(([, , lines]) => lines.length > 0)
  const width = Math.max(8, ...shown.map(([, label]) => label.length))
  const room = io.stdout.isTTY ? Math.max(40, (io.stdout.columns || 80) - width - 2) : Infinity
  const body = shown.flatMap(([style, label, lines]) =>
    lines
      .flatMap((line) => wrap(line, room))
      .map((line, index) => {
        const head = index === 0 ? label.padEnd(width) : ' '.repeat(width)
        return `${paint(io, io.stdout, style, head)}  ${line}`
      }),
  )
  const verdict = plan.refusal
    ? 'It would be refused. Nothing was changed.'
    : 'This was a dry run: nothing was changed.'
  return [paint(io, io.stdout, 'bold', oneLine(plan.title)), ...body, paint(io, io.stdout, 'dim', verdict)]
}

/** Many names on one line: thirty nodes are no thirty lines. */
function createdLines({ creates }: OperationPlan): string[] {
  return (['node', 'layer', 'image'] as const).flatMap((type) => {
    const names = creates.filter((made) => made.type === type).map(({ name }) => name)
    const [first, second] = names
    if (first === undefined) return []
    if (names.length === 1) return [`${type} ${oneLine(first)}`]
    if (names.length === 2) return [`2 ${type}s: ${oneLine(first)}, ${oneLine(second ?? '')}`]
    return [`${names.length} ${type}s: ${oneLine(first)}, ${oneLine(second ?? '')} … ${oneLine(names.at(-1) ?? '')}`]
  })
}

function replacedLines({ replaces }: OperationPlan): string[] {
  return replaces.map(({ type, name, bytes, fate }) => oneLine(`${type} ${name} (${formatBytes(bytes)}) ${fate}`))
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
