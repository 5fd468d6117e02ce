import type { Finding, VerifyReport } from '../domain/storage.js'
import type { Io } from './io.js'
import { oneLine, paint, wrap } from './text.js'

type Subject = VerifyReport['subjects'][number]
export type OfferedRepair = Finding['repairs'][number] & { path: string }

/** The seed's lines, ✓ and ✗ for each file. `brief`: what is well is one line for each node or image. */
export function verifyLines(io: Io, report: VerifyReport, { brief }: { brief: boolean }): string[] {
  const troubled = report.subjects.filter(({ ok }) => !ok)
  return [
    ...report.subjects.flatMap((subject) =>
      brief && subject.ok ? [wellLine(io, subject)] : [headingOf(io, subject), ...findingLines(io, subject)],
    ),
    '',
    troubled.length === 0
      ? paint(
          io,
          io.stdout,
          'green',
          report.subjects.length === 0 ? 'There is nothing to verify.' : 'All storage verified',
        )
      : paint(io, io.stdout, 'red', `ERROR: ${summary(report, troubled)}`),
  ]
}

/** Each repair that the report offers for a node, with the file that it is for. Pure. */
export function offeredRepairs(report: VerifyReport, nodeId: string): OfferedRepair[] {
  const findings = report.subjects.filter(({ type, id }) => type === 'node' && id === nodeId).flatMap(findingsOf)
  return findings
    .filter(({ ok }) => !ok)
    .flatMap(({ path, repairs }) => repairs.map((repair) => ({ ...repair, path })))
    .filter((one, index, all) => all.findIndex((other) => isSame(one, other)) === index)
}

function findingsOf({ findings }: Subject): Finding[] {
  return findings
}

function isSame(one: OfferedRepair, other: OfferedRepair): boolean {
  return one.repair === other.repair && one.path === other.path && one.argument === other.argument
}

/** The command that does it without asking which. */
export function repairCommand(nodeName: string, { repair, path, argument }: OfferedRepair): string {
  const withArgument = argument === null ? '' : ` --argument ${argument}`
  return `sandlabx storage repair ${nodeName} --repair ${repair} --path ${path}${withArgument}`
}

function summary(report: VerifyReport, troubled: readonly Subject[]): string {
  const findings = troubled.flatMap(findingsOf).filter(({ ok }) => !ok)
  const allMissing = findings.length > 0 && findings.every(({ message }) => message.startsWith('MISSING'))
  const what = allMissing ? 'Some storage files are missing' : 'Some storage is not as it should be'
  return report.subjects.length === 1 ? what : `${what}: ${troubled.length} of ${report.subjects.length} have problems`
}

const KINDS = { node: 'node', image: 'image', layer: 'snapshot layer', registry: 'the registry' } as const

function nameOf({ type, name }: Subject): string {
  return type === 'registry' ? KINDS.registry : `${KINDS[type]} '${oneLine(name)}'`
}

function headingOf(io: Io, subject: Subject): string {
  return paint(io, io.stdout, 'bold', `Checking storage for ${nameOf(subject)}...`)
}

function wellLine(io: Io, subject: Subject): string {
  const files = new Set(subject.findings.map(({ path }) => path)).size
  return `${paint(io, io.stdout, 'green', '✓')} ${nameOf(subject)}: ${files === 1 ? '1 file' : `${files} files`}`
}

/** A file with all that is well about it on one line, and a line for each thing that is not. */
function findingLines(io: Io, { findings }: Subject): string[] {
  const paths = [...new Set(findings.map(({ path }) => path))]
  return paths.flatMap((path) => {
    const own = findings.filter((finding) => finding.path === path)
    const well = own.filter(({ ok }) => ok)
    const troubles = own.filter(({ ok }) => !ok)
    const words = well.map(({ message }) => message).join(', ')
    return [
      ...(troubles.length === 0 && well.length > 0 ? fileLine(io, 'green', '✓', path, words) : []),
      ...troubles.flatMap((finding) => [
        ...fileLine(io, 'red', '✗', path, finding.message),
        ...finding.repairs.flatMap((repair) => repairLines(io, repair.title)),
      ]),
    ]
  })
}

function fileLine(io: Io, style: 'green' | 'red', mark: string, path: string, words: string): string[] {
  const head = `  ${paint(io, io.stdout, style, mark)} ${oneLine(path)}`
  const room = io.stdout.isTTY ? (io.stdout.columns || 80) - 6 : Infinity
  const tail = `(${oneLine(words)})`
  // The seed has it on one line, which a narrow terminal would break in the middle of a word.
  if (4 + path.length + 1 + tail.length <= room + 6) return [`${head} ${tail}`]
  return [head, ...wrap(tail, room).map((line) => `      ${line}`)]
}

function repairLines(io: Io, title: string): string[] {
  const room = io.stdout.isTTY ? (io.stdout.columns || 80) - 10 : Infinity
  return wrap(oneLine(title), room).map((line, index) => `      ${index === 0 ? '→' : ' '} ${line}`)
}
