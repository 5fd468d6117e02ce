import type { Command } from 'commander'
import { z } from 'zod'
import { consoleHistorySchema, type ConsoleVisit } from '../domain/console-history.js'
import type { Io } from './io.js'
import { findNode } from './names.js'
import { wholeNumber } from './option-values.js'
import { verb, type Run } from './run.js'
import { localTime } from './text.js'

/** history: who had which console of a node open. */
export function addHistoryCommand(program: Command, io: Io): void {
  program
    .command('history <node>')
    .description('who had which console of a node open, when and for how long, newest first')
    .option('--limit <number>', 'how many', wholeNumber, 50)
    .option('--before <mark>', 'older than this; a page ends with the mark of the next')
    .action(verb(io, historySchema, history))
}

const historySchema = z.object({ limit: z.number(), before: z.string().optional() })

async function history(run: Run, { limit, before }: z.infer<typeof historySchema>, name: string): Promise<void> {
  const client = await run.client()
  const node = await findNode(client, name)
  const query = new URLSearchParams({ limit: String(limit), ...(before === undefined ? {} : { before }) })
  const answer = await client.get(`/api/nodes/${node.id}/console-history?${query.toString()}`, consoleHistorySchema)
  const now = Date.now()
  const rows = answer.visits.map((visit) => [
    localTime(visit.openedAt),
    visitDuration(visit, now),
    visit.login,
    kindWords(visit),
    visit.mode === 'view' ? 'watched' : 'could type',
    visit.recorded ? 'recorded' : '',
    visit.address ?? '',
  ])
  run.output.table(['OPENED', 'FOR', 'WHO', 'CONSOLE', 'MODE', 'RECORDED', 'FROM'], rows, answer)
  if (answer.next !== null && !run.output.json) run.io.stderr.write(`Older: --before ${answer.next}\n`)
}

/** `2 h 5 min`, `open for 3 min`, `at least 20 s`. */
export function visitDuration({ openedAt, closedAt, ended }: ConsoleVisit, nowMs: number): string {
  const length = duration((closedAt === null ? nowMs : Date.parse(closedAt)) - Date.parse(openedAt))
  if (closedAt === null) return `open for ${length}`
  return ended === 'lost' ? `at least ${length}` : length
}

function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min`
  return minutes % 60 === 0 ? `${minutes / 60} h` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

function kindWords({ kind, engine }: ConsoleVisit): string {
  return engine === 'guacamole' ? `${kind} (Guacamole)` : kind
}
