import Table from 'cli-table3'
import type { Io } from './io.js'
import { oneLine, paint, wrap } from './text.js'

/** How a command answers: JSON when asked for, else for people, else (piped) for other programs. */
export interface Output {
  readonly json: boolean
  /**
   * Rows with a heading on a terminal; piped, bare tab-separated lines; with `--json`, `raw`. On a terminal that is too
   * narrow the cells of the column `shrink` are cut.
   */
  table(columns: string[], rows: string[][], raw: unknown, shrink?: number): void
  /** Named values of one thing. */
  facts(facts: [name: string, value: string][], raw: unknown): void
  /** What was done, as a sentence; with `--json`, `raw`. */
  done(sentence: string, raw: unknown): void
  /** Text as it is, such as a log. */
  text(text: string): void
}

export function createOutput(io: Io, json: boolean): Output {
  const line = (text: string) => void io.stdout.write(`${text}\n`)
  const printJson = (raw: unknown) => line(JSON.stringify(raw, null, io.stdout.isTTY ? 2 : undefined))
  const printRows = (rows: string[][]) => {
    for (const row of rows) line(row.map(oneLine).join('\t'))
  }
  return {
    json,
    table(columns, rows, raw, shrink) {
      if (json) printJson(raw)
      else if (!io.stdout.isTTY) printRows(rows)
      else if (rows.length > 0) line(drawTable(io, columns, fitting(columns, rows, room(io), shrink)))
    },
    facts(facts, raw) {
      if (json) printJson(raw)
      else if (!io.stdout.isTTY) printRows(facts)
      else {
        const width = Math.max(...facts.map(([name]) => name.length))
        for (const [name, value] of facts) {
          for (const [index, part] of wrap(oneLine(value), room(io) - width - 2).entries()) {
            line(`${paint(io, io.stdout, 'dim', (index === 0 ? name : '').padEnd(width))}  ${part}`)
          }
        }
      }
    },
    done(sentence, raw) {
      if (json) printJson(raw)
      else for (const part of io.stdout.isTTY ? wrap(oneLine(sentence), room(io)) : [oneLine(sentence)]) line(part)
    },
    text: (text) => void io.stdout.write(text),
  }
}

/** Of a terminal that does not say how wide it is: 80. */
function room(io: Io): number {
  return Math.max(40, io.stdout.columns || 80)
}

/** Of a column that is cut: less would say nothing. */
const LEAST_CELL = 12
const GAP = 2

function fitting(columns: string[], rows: string[][], width: number, shrink: number | undefined): string[][] {
  if (shrink === undefined) return rows
  const widths = columns.map((column, at) => Math.max(column.length, ...rows.map((row) => row[at]?.length ?? 0)))
  const others = widths.reduce((sum, one, at) => (at === shrink ? sum : sum + one + GAP), 0)
  const left = Math.max(LEAST_CELL, width - others)
  return rows.map((row) => row.map((cell, at) => (at === shrink ? cut(oneLine(cell), left) : cell)))
}

function cut(text: string, width: number): string {
  const characters = Array.from(text)
  return characters.length <= width ? text : `${characters.slice(0, width - 1).join('')}…`
}

/** The next step, on standard error: for people, and never among what a program reads. */
export function sayNext({ io, output }: { io: Io; output: Output }, text: string): void {
  if (!output.json) io.stderr.write(`${paint(io, io.stderr, 'dim', `→ ${oneLine(text)}`)}\n`)
}

const NO_LINES = Object.fromEntries(
  ['top', 'bottom', 'mid', 'left', 'right', 'top-mid', 'top-left', 'top-right', 'bottom-mid', 'bottom-left']
    .concat(['bottom-right', 'left-mid', 'mid-mid', 'right-mid', 'middle'])
    .map((name) => [name, name === 'middle' ? '  ' : '']),
)

function drawTable(io: Io, columns: string[], rows: string[][]): string {
  const table = new Table({
    head: columns.map((column) => paint(io, io.stdout, 'bold', column)),
    chars: NO_LINES,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  })
  table.push(...rows.map((row) => row.map((cell) => colourState(io, oneLine(cell)))))
  return table
    .toString()
    .split('\n')
    .map((drawn) => drawn.trimEnd())
    .join('\n')
}

const STATE_STYLE = {
  running: 'green',
  succeeded: 'green',
  ok: 'green',
  success: 'green',
  starting: 'yellow',
  stopping: 'yellow',
  paused: 'yellow',
  warning: 'yellow',
  crashed: 'red',
  broken: 'red',
  failed: 'red',
  failure: 'red',
  unknown: 'red',
  lost: 'red',
} as const

/** The word stays; colour only repeats it. */
function colourState(io: Io, cell: string): string {
  const style = Object.hasOwn(STATE_STYLE, cell) ? STATE_STYLE[cell as keyof typeof STATE_STYLE] : undefined
  return style ? paint(io, io.stdout, style, cell) : cell
}
