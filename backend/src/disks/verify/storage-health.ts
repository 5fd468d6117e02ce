import type { HealthCheck } from '../../domain/health.js'
import type { KeptReport } from './verify-reports.js'

const NAMED = 5

/**
 * The health page's word about storage: the newest look at everything, and what single nodes' newer looks have found
 * since. `reports` newest first. Pure.
 */
export function storageFinding(
  reports: readonly KeptReport[],
  verifyHour: number | null,
): Omit<HealthCheck, 'id' | 'title'> {
  const whole = reports.find(({ nodeId }) => nodeId === null)
  const when = verifyHour === null ? 'It is not looked at by itself' : `It is looked at each night at ${verifyHour}:00`
  if (!whole) {
    return { state: 'ok', message: `Nobody has looked at all storage yet. ${when}.`, hint: null }
  }
  const newer = reports.slice(0, reports.indexOf(whole)).toReversed()
  const wrong = new Map(whole.report.subjects.filter(({ ok }) => !ok).map(({ id, name }) => [id, name]))
  for (const { id, name, ok } of newer.flatMap(({ report }) => report.subjects)) {
    if (ok) wrong.delete(id)
    else wrong.set(id, name)
  }
  const { at, level, subjects } = whole.report
  const looked = `${subjects.length} things were looked at (${level}), ${at}`
  if (wrong.size === 0) return { state: 'ok', message: `Nothing is wrong: ${looked}. ${when}.`, hint: null }
  const names = [...wrong.values()]
  const named = `${names.slice(0, NAMED).join(', ')}${names.length > NAMED ? ', …' : ''}`
  return {
    state: 'warning',
    message: `Something is wrong with ${wrong.size}: ${named}. ${looked}. ${when}.`,
    hint: 'Open Storage, or run `sandlabx storage verify --all`: each finding has its repair.',
  }
}
