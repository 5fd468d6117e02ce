import type { Command } from 'commander'
import { healthReportSchema, overallState, worstFirst, type HealthCheck, type HealthReport } from '../domain/health.js'
import { SandlabError } from '../domain/error.js'
import type { Io } from './io.js'
import { backendLogFile, localLayout } from './local-backend.js'
import { runLocalChecks } from './local-checks.js'
import { noOptions, verb, type Run } from './run.js'
import { paint, printable } from './text.js'

/** doctor: is everything well, and what to do when not. */
export function addDoctorCommand(program: Command, io: Io): void {
  program
    .command('doctor')
    .description('say for each thing that matters whether it is well; exit 3 when something failed')
    .action(verb(io, noOptions, doctor))
}

async function doctor(run: Run): Promise<void> {
  const report = worst(await askBackend(run).catch((error: unknown) => checkHere(run, error)))
  if (run.output.json) run.output.done('', report)
  else show(run, report)
  if (report.state === 'failed') throw new ProblemsFound()
}

/** Problems were found and have been shown: exit 3 without another word. */
export class ProblemsFound extends Error {
  readonly exitCode = 3
}

async function askBackend(run: Run): Promise<HealthReport> {
  const client = await run.client()
  const report = await client.get('/api/health', healthReportSchema)
  if (report.checks || client.target.from !== 'local') return report
  // It does not know us, so its database is down: what can be seen from here is better than nothing.
  const backend: HealthCheck = {
    id: 'backend',
    title: 'Backend',
    state: report.state,
    message: 'It runs, but does not know its administrators; so its database may be down.',
    hint: `See ${backendLogFile(localLayout(run.io, run.dataDir))}.`,
  }
  return { ...report, checks: [backend, ...(await runLocalChecks(run.io, localLayout(run.io, run.dataDir)))] }
}

/** Without a backend that answers, what can be seen from here. */
async function checkHere(run: Run, error: unknown): Promise<HealthReport> {
  if (!(error instanceof SandlabError)) throw error
  const backend: HealthCheck = {
    id: 'backend',
    title: 'Backend',
    state: 'warning',
    message: error.message,
    hint: error.hint ?? null,
  }
  const checks = [backend, ...(await runLocalChecks(run.io, localLayout(run.io, run.dataDir)))]
  return { live: false, ready: false, state: overallState(checks), version: run.version, checks }
}

function worst(report: HealthReport): HealthReport {
  return report.checks ? { ...report, checks: worstFirst(report.checks) } : report
}

const MARKS = { ok: ['green', '✓', 'ok'], warning: ['yellow', '!', 'warning'], failed: ['red', '✗', 'failed'] } as const

function show(run: Run, report: HealthReport): void {
  const { io } = run
  if (!report.checks) {
    run.output.facts(
      [
        ['State', report.state],
        ['Ready', report.ready ? 'yes' : 'no'],
        ['Version', report.version],
      ],
      report,
    )
    if (io.stdout.isTTY) io.stderr.write('The single checks are for administrators.\n')
    return
  }
  if (!io.stdout.isTTY) {
    const rows = report.checks.map((check) => [check.state, check.title, check.message, check.hint ?? ''])
    run.output.table([], rows, report)
    return
  }
  for (const check of report.checks) {
    const [style, mark] = MARKS[check.state]
    io.stdout.write(`${paint(io, io.stdout, style, mark)} ${paint(io, io.stdout, 'bold', printable(check.title))}  `)
    io.stdout.write(`${printable(check.message).replaceAll('\n', '\n  ')}\n`)
    if (check.hint !== null) io.stdout.write(`  → ${printable(check.hint)}\n`)
  }
}
