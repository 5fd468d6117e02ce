import type { DriveLimits } from '@domain/drive.js'
import { formatBytes, parseBytes } from '@domain/units.js'

/** The limits as they are typed; empty: no limit. */
export interface LimitsForm {
  bytes: string
  operations: string
  burstBytes: string
  burstOperations: string
}

export function limitsForm(limits: DriveLimits): LimitsForm {
  const size = (bytes: number | null) => (bytes === null ? '' : exactSize(bytes))
  const figure = (operations: number | null) => (operations === null ? '' : String(operations))
  return {
    bytes: size(limits.bytesPerSecond),
    operations: figure(limits.operationsPerSecond),
    burstBytes: size(limits.burstBytesPerSecond),
    burstOperations: figure(limits.burstOperationsPerSecond),
  }
}

/** The limits, or by field what is wrong with them, as a sentence. */
export function readLimits(form: LimitsForm): {
  limits: DriveLimits
  problems: Partial<Record<keyof LimitsForm, string>>
} {
  const problems: Partial<Record<keyof LimitsForm, string>> = {}
  const size = (field: 'bytes' | 'burstBytes') => {
    if (form[field].trim() === '') return null
    const bytes = parseBytes(form[field].replace(/\/s\s*$/, ''))
    if (bytes !== undefined && bytes >= 1) return bytes
    problems[field] = 'Write a size such as 50 MiB'
    return null
  }
  const figure = (field: 'operations' | 'burstOperations') => {
    const text = form[field].trim()
    if (text === '') return null
    if (/^\d+$/.test(text) && Number(text) >= 1) return Number(text)
    problems[field] = 'Write a whole number'
    return null
  }
  const limits = {
    bytesPerSecond: size('bytes'),
    operationsPerSecond: figure('operations'),
    burstBytesPerSecond: size('burstBytes'),
    burstOperationsPerSecond: figure('burstOperations'),
  }
  burst(problems, 'burstBytes', limits.burstBytesPerSecond, limits.bytesPerSecond)
  burst(problems, 'burstOperations', limits.burstOperationsPerSecond, limits.operationsPerSecond)
  return { limits, problems }
}

function burst(
  problems: Partial<Record<keyof LimitsForm, string>>,
  field: 'burstBytes' | 'burstOperations',
  peak: number | null,
  limit: number | null,
): void {
  if (peak === null || problems[field]) return
  if (limit === null) problems[field] = 'A burst needs its limit'
  else if (peak < limit) problems[field] = 'A burst is at least its limit'
}

/** `50.0 MiB/s, 200 operations/s`; null when there are none. */
export function limitsWords(limits: DriveLimits): string | null {
  const { bytesPerSecond, operationsPerSecond, burstBytesPerSecond, burstOperationsPerSecond } = limits
  const parts = [
    bytesPerSecond !== null &&
      `${formatBytes(bytesPerSecond)}/s${burstBytesPerSecond === null ? '' : `, bursts ${formatBytes(burstBytesPerSecond)}/s`}`,
    operationsPerSecond !== null &&
      `${operationsPerSecond} operations/s${burstOperationsPerSecond === null ? '' : `, bursts ${burstOperationsPerSecond}/s`}`,
  ].filter((part) => part !== false)
  return parts.length > 0 ? parts.join(', ') : null
}

/** Read back without loss. */
function exactSize(bytes: number): string {
  const words = formatBytes(bytes)
  return parseBytes(words) === bytes ? words : String(bytes)
}
