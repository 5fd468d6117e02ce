import { readFile, writeFile } from 'node:fs/promises'
import { cpus, totalmem } from 'node:os'
import { percentile, type Result } from './result.js'

const HEAD = [
  'part',
  'points',
  'acknowledged changes lost',
  'half-made',
  'leaked files',
  'recovery p50 / max',
  'failures',
]
const BEGIN = '<!-- npm run faults: begin -->'
const END = '<!-- npm run faults: end -->'

/** The results as a Markdown table, with the day and the machine. */
export function reportOf(results: readonly Result[], tookMs: number, seed: number): string {
  const rows = results.map((result) => [
    result.part,
    String(result.points),
    String(result.lost),
    String(result.half),
    String(result.leaked),
    result.recoveryMs.length === 0
      ? '–'
      : `${percentile(result.recoveryMs, 0.5).toFixed(0)} / ${Math.max(...result.recoveryMs).toFixed(0)} ms`,
    String(result.failures.length),
  ])
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  const day = new Date().toISOString().slice(0, 10)
  const machine = `${cpus().length} CPUs, ${Math.round(totalmem() / 1024 ** 3)} GiB`
  const notes = results.filter(({ note }) => note !== '').map(({ part, note }) => `- ${part}: ${note}.`)
  return [
    `${day}, ${machine}, Node ${process.version}, seed ${seed}, ${(tookMs / 60_000).toFixed(0)} min.`,
    '',
    line(HEAD),
    line(HEAD.map(() => '---')),
    ...rows.map(line),
    '',
    ...notes,
  ].join('\n')
}

/** Each failure with the command that does it again. */
export function failuresOf(results: readonly Result[]): string {
  return results
    .flatMap(({ part, failures }) =>
      failures.map(
        ({ what, replay }) =>
          `${part}: ${what}\n  again: npm run faults -- ${replay.startsWith('--') ? replay : `--point ${replay}`}`,
      ),
    )
    .join('\n')
}

/** Replaces the marked section of a document. Throws when it has none. */
export async function writeReport(path: string, report: string): Promise<void> {
  const text = await readFile(path, 'utf8')
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)]
  if (begin < 0 || end < begin) throw new Error(`${path} has no lines "${BEGIN}" and "${END}"`)
  await writeFile(path, `${text.slice(0, begin)}${BEGIN}\n\n${report}\n\n${text.slice(end)}`)
}
