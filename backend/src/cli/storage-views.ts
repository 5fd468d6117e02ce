import type { Orphan, SpaceReport } from '../domain/storage.js'
import { formatBytes } from '../domain/units.js'
import type { Io } from './io.js'
import { oneLine, paint, wrap } from './text.js'

/** A report for people, also when piped: seed 000 greps in it. Two lines for each file, since paths are long. */
export function orphanLines(io: Io, answer: { orphans: Orphan[]; totalBytes: number }, now: number): string[] {
  const { orphans, totalBytes } = answer
  if (orphans.length === 0) return ['No orphaned storage found']
  const heading = `Found ${orphans.length} orphaned storage ${orphans.length === 1 ? 'file' : 'files'}:`
  const blocks = orphans.flatMap((orphan) => [
    `  ${oneLine(orphan.path)} (${formatBytes(orphan.usedBytes)})`,
    ...details(io, orphan, now),
  ])
  return [paint(io, io.stdout, 'bold', heading), '', ...blocks, '', `Total: ${formatBytes(totalBytes)}`]
}

function details(io: Io, orphan: Orphan, now: number): string[] {
  const { formerly, snapshotName, backing, virtualSizeBytes, fault, changedAt } = orphan
  const words = [
    `${ageOf(changedAt, now)} old`,
    ...(virtualSizeBytes === null ? [] : [`a disk of ${formatBytes(virtualSizeBytes)}`]),
    ...(formerly ? [`formerly ${formerlyWords(orphan.kind, formerly, snapshotName)}`] : []),
    ...(backing ? [`stands on ${backing.path}${backing.present ? '' : ', which is missing'}`] : []),
  ]
  const room = (io.stdout.columns || 80) - 6
  return [
    ...wrap(oneLine(words.join(' · ')), room).map((line) => `      ${paint(io, io.stdout, 'dim', line)}`),
    ...(fault === null ? [] : wrap(oneLine(fault), room - 2).map((line, index) => faultLine(io, line, index))),
  ]
}

function faultLine(io: Io, line: string, index: number): string {
  return `      ${index === 0 ? paint(io, io.stdout, 'yellow', '!') : ' '} ${line}`
}

function formerlyWords(kind: Orphan['kind'], node: NonNullable<Orphan['formerly']>, snapshotName: string | null) {
  const owner = node.ownerLogin === null ? '' : ` of ${node.ownerLogin}`
  if (snapshotName !== null) return `the snapshot ${snapshotName} of ${node.nodeName}${owner}`
  return `${kind === 'drive' ? 'a drive of ' : ''}${node.nodeName}${owner}`
}

/** `3 minutes`, `12 days`. */
export function ageOf(iso: string, now: number): string {
  const seconds = Math.max(0, (now - Date.parse(iso)) / 1000)
  for (const [unit, size] of [
    ['day', 86_400],
    ['hour', 3600],
    ['minute', 60],
  ] as const) {
    const count = Math.floor(seconds / size)
    if (count >= 1) return `${count} ${unit}${count === 1 ? '' : 's'}`
  }
  return 'less than a minute'
}

const BAR_WIDTH = 30
/** Of each kind; the rest is one line. */
const MOST_ROWS = 12

/** Each file system with a bar, then what takes the room, the largest first. */
export function spaceLines(io: Io, space: SpaceReport): string[] {
  const groups: [title: string, rows: Row[]][] = [
    ['Nodes', space.nodes.map((node) => [node.usedBytes + node.drivesBytes, `${node.name} of ${node.ownerLogin}`])],
    ['Base images', space.images.map(({ usedBytes, title, nodes }) => [usedBytes, `${title}, under ${disks(nodes)}`])],
    ['Snapshots', space.snapshots.map((one) => [one.usedBytes, snapshotWords(one)])],
    [
      'Besides',
      [
        [space.trashBytes, 'the trash'],
        [space.orphanBytes, 'orphaned storage'],
        [space.stagingBytes, 'work under way'],
        [space.recordingsBytes, 'recordings of consoles'],
      ],
    ],
  ]
  return [
    ...space.fileSystems.flatMap((fileSystem) => fileSystemLines(io, fileSystem)),
    ...groups.flatMap(([title, rows]) => groupLines(io, title, rows)),
    '',
    overcommitWords(space.overcommit),
  ]
}

type Row = [bytes: number, words: string]

function disks(count: number): string {
  return count === 1 ? '1 node' : `${count} nodes`
}

function snapshotWords({ name, nodeName, shared }: SpaceReport['snapshots'][number]): string {
  return shared ? `shared by clones of ${nodeName}` : `${name} of ${nodeName}`
}

function fileSystemLines(io: Io, { path, totalBytes, freeBytes, reservedBytes }: SpaceReport['fileSystems'][number]) {
  const share = totalBytes === 0 ? 0 : Math.min(1, Math.max(0, 1 - freeBytes / totalBytes))
  const full = Math.round(share * BAR_WIDTH)
  const style = share > 0.9 ? 'red' : share > 0.75 ? 'yellow' : 'cyan'
  const bar = paint(io, io.stdout, style, '━'.repeat(full)) + paint(io, io.stdout, 'dim', '─'.repeat(BAR_WIDTH - full))
  const reserved = reservedBytes > 0 ? `, ${formatBytes(reservedBytes)} of it reserved` : ''
  return [
    paint(io, io.stdout, 'bold', oneLine(path)),
    `${bar}  ${formatBytes(freeBytes)} free of ${formatBytes(totalBytes)}${reserved}`,
  ]
}

function groupLines(io: Io, title: string, rows: readonly Row[]): string[] {
  const total = rows.reduce((sum, [bytes]) => sum + bytes, 0)
  const sorted = rows.filter(([bytes]) => bytes > 0).toSorted(([one], [other]) => other - one)
  if (sorted.length === 0) return []
  const rest = sorted.slice(MOST_ROWS)
  const restBytes = rest.reduce((sum, [bytes]) => sum + bytes, 0)
  const shown: Row[] = [
    ...sorted.slice(0, MOST_ROWS),
    ...(rest.length > 0 ? [[restBytes, `${rest.length} more`] as Row] : []),
  ]
  return [
    '',
    `${paint(io, io.stdout, 'bold', title)}  ${formatBytes(total)}`,
    ...shown.map(([bytes, words]) => `  ${formatBytes(bytes).padStart(11)}  ${oneLine(words)}`),
  ]
}

/** What the figure means, since the figure alone says little. */
function overcommitWords(overcommit: number): string {
  if (overcommit > 1)
    return `If every disk were full they would need ${overcommit.toFixed(1)} times the room that there is.`
  const share = overcommit < 0.01 ? 'less than 1 %' : `${Math.ceil(overcommit * 100)} %`
  return `Every disk could be full: together they need ${share} of the room that there is.`
}
