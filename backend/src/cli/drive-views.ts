import type { DriveLimits, DriveView } from '../domain/drive.js'
import { formatBytes } from '../domain/units.js'

export const DRIVE_COLUMNS = ['DRIVE', 'SIZE', 'USED', 'HOW', 'STATE', 'FILE']

export function driveRow(drive: DriveView, onTerminal: boolean): string[] {
  const file = onTerminal && drive.source === 'automatic' ? '(automatic)' : drive.path
  return [
    drive.root && drive.id !== 'root' ? `${drive.id} (root)` : drive.id,
    formatBytes(drive.sizeBytes),
    drive.usedBytes === null ? '' : formatBytes(drive.usedBytes),
    howWords(drive),
    stateWords(drive),
    file,
  ]
}

/** What is not as usual: nothing for a drive that is written through the host's cache without a limit. */
function howWords({ readOnly, cache, io, limits }: DriveView): string {
  const words = [
    ...(readOnly ? ['read-only'] : []),
    ...(cache === 'writeback' ? [] : [`cache ${cache}`]),
    ...(io === 'threads' ? [] : [`io ${io}`]),
    ...limitWords(limits),
  ]
  return words.join(', ')
}

export function limitWords(limits: DriveLimits): string[] {
  const { bytesPerSecond, operationsPerSecond, burstBytesPerSecond, burstOperationsPerSecond } = limits
  const burst = (value: number | null, words: (value: number) => string) => (value === null ? '' : ` (${words(value)})`)
  return [
    ...(bytesPerSecond === null ? [] : [`${formatBytes(bytesPerSecond)}/s${burst(burstBytesPerSecond, formatBytes)}`]),
    ...(operationsPerSecond === null ? [] : [`${operationsPerSecond} IOPS${burst(burstOperationsPerSecond, String)}`]),
  ]
}

function stateWords({ missing, appliesAtNextStart, source }: DriveView): string {
  if (missing) return source === 'automatic' ? 'MISSING, made again at the next start' : 'MISSING'
  return appliesAtNextStart ? 'at the next start' : ''
}

/** Seed 003's two sentences: when a change is kept, and when the guest sees it. */
export function appliesWords({ appliesAtNextStart }: Pick<DriveView, 'appliesAtNextStart'>): string {
  return appliesAtNextStart
    ? 'It is stored now; the guest has it like this from its next start on.'
    : 'It is stored now; the guest has it like this when it starts.'
}
