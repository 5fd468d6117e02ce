import type { Operation } from '../domain/operation.js'
import { formatDuration } from '../domain/units.js'
import { shortId } from './follow-operation.js'
import { percent } from './progress-bar.js'
import type { Run } from './run.js'
import { localTime, oneLine, paint } from './text.js'

export const OPERATION_COLUMNS = ['WHAT', 'STATE', 'DONE', 'BY', 'SINCE', 'TOOK', 'ID']

/** `isTerminal`: the beginning of the id, which the other verbs take, too. */
export function operationRow(operation: Operation, isTerminal: boolean): string[] {
  const { title, state, progress, actorLogin, startedAt, id } = operation
  const done = progress === null ? '' : percent(progress)
  if (!isTerminal) return [title, state, done, actorLogin, localTime(startedAt), took(operation), id]
  const since = localTime(startedAt).slice(5, 16) // the year and the seconds leave room for what it is about
  return [title, state, state === 'running' ? done : '', actorLogin, since, took(operation), shortId(id)]
}

/**
 * The log of a transaction, in the words of seed 001: id, kind, started, completed, status, resources; and the steps with
 * the time that each took. With `--json` the operation as the API has it, and the same log with the seed's field names.
 */
export function showOperation(run: Run, operation: Operation): void {
  const { io, output } = run
  const groups = logGroups(operation)
  if (output.json || !io.stdout.isTTY) {
    const rows = groups.flatMap(([name, lines]) => lines.map((line): [string, string] => [name, line.join(' ')]))
    output.facts(rows, { operation, transaction: transactionLog(operation) })
    return
  }
  const width = Math.max(...groups.map(([name]) => name.length))
  for (const [name, lines] of groups) {
    const columns = lines[0]?.map((_, at) => Math.max(...lines.map((line) => (line[at] ?? '').length))) ?? []
    for (const [index, line] of lines.entries()) {
      const head = paint(io, io.stdout, 'dim', (index === 0 ? name : '').padEnd(width))
      const cells = line.map((cell, at) => (at === line.length - 1 ? cell : cell.padEnd(columns[at] ?? 0)))
      output.text(`${head}  ${oneLine(cells.join('  '))}\n`)
    }
  }
}

type Group = [name: string, lines: string[][]]

function logGroups(operation: Operation): Group[] {
  const { error, resources, items } = operation
  const bytes = operation.progress === null || operation.state !== 'running' ? '' : ` (${percent(operation.progress)})`
  const all: Group[] = [
    ['Transaction', [[operation.id]]],
    ['Kind', [[operation.kind]]],
    ['What', [[operation.title]]],
    ['By', [[operation.actorLogin]]],
    ['Started', [[localTime(operation.startedAt)]]],
    ['Completed', operation.endedAt === null ? [] : [[`${localTime(operation.endedAt)} (${took(operation)})`]]],
    ['Status', [[`${statusOf(operation)}${bytes}`]]],
    ['Error', error ? [[error.message], ...(error.hint === undefined ? [] : [[`→ ${error.hint}`]])] : []],
    ['Key', operation.request ? [[operation.request.key]] : []],
    [
      'Resources',
      resources.map(({ type, id, finalPath }) => [type, finalPath === undefined ? id : `${id} → ${finalPath}`]),
    ],
    [
      'Nodes',
      items.map(({ name, id, state, error: why }) => [name, state, [id ?? '', why?.message ?? ''].join('  ').trim()]),
    ],
    [
      'Steps',
      steps(operation).map(({ at, text, seconds }) => [localTime(at), seconds === null ? '' : `+${seconds} s`, text]),
    ],
  ]
  return all.filter(([, lines]) => lines.length > 0)
}

/** The seed's `committed` and `rolled back` where it was a transaction, else how it went. */
function statusOf({ state, outcome }: Operation): string {
  if (outcome === 'committed') return state === 'succeeded' ? 'committed' : `committed, ${state}`
  if (outcome === 'rolled-back') return `rolled back (${state})`
  return state
}

/** Each line of the log, and how long it was until the next. */
function steps({ log, endedAt }: Operation): { at: string; text: string; seconds: string | null }[] {
  return log.map(({ at, text }, index) => {
    const next = log[index + 1]?.at ?? endedAt
    const seconds = next === null ? null : Math.max(0, Date.parse(next) - Date.parse(at)) / 1000
    return { at, text, seconds: seconds === null ? null : seconds.toFixed(1) }
  })
}

function took({ startedAt, endedAt }: Operation): string {
  return endedAt === null ? '' : formatDuration(Math.max(0, Date.parse(endedAt) - Date.parse(startedAt)))
}

/** With the field names of seed 001, so that what reads its logs reads ours. */
export function transactionLog(operation: Operation) {
  const { id, kind, startedAt, endedAt, outcome, state, resources } = operation
  return {
    transaction_id: id,
    operation_type: kind,
    started_at: startedAt,
    completed_at: endedAt,
    status: outcome === null ? state : outcome.replace('-', '_'),
    resources: resources.map((resource) => ({
      resource_type: resource.type,
      resource_id: resource.id,
      metadata: resource.finalPath === undefined ? {} : { final_path: resource.finalPath },
    })),
    steps: steps(operation).map(({ at, text, seconds }) => ({
      at,
      text,
      seconds: seconds === null ? null : Number(seconds),
    })),
  }
}
