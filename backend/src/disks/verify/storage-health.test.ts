import { expect, it } from '@jest/globals'
import { storageFinding } from './storage-health.js'
import type { KeptReport } from './verify-reports.js'

/** `wrong` and `well`: names, which are their ids, too. */
function report(at: string, nodeId: string | null, wrong: string[], well: string[] = []): KeptReport {
  const subject = (ok: boolean) => (name: string) => ({ type: 'node' as const, id: name, name, ok, findings: [] })
  const subjects = [...wrong.map(subject(false)), ...well.map(subject(true))]
  const found = { at, level: 'full' as const, ok: wrong.length === 0, subjects }
  return { operationId: at, nodeId, report: found, kind: 'sandlabx-report', schema: 1 } as unknown as KeptReport // ids that nobody reads
}

it('says so when nobody has looked yet', () => {
  expect(storageFinding([], 3)).toEqual({
    state: 'ok',
    message: 'Nobody has looked at all storage yet. It is looked at each night at 3:00.',
    hint: null,
  })
})

it('counts and names what is wrong', () => {
  const finding = storageFinding([report('1', null, ['a', 'b', 'c', 'd', 'e', 'f'], ['g'])], null)
  expect(finding.state).toBe('warning')
  expect(finding.message).toMatch(/^Something is wrong with 6: a, b, c, d, e, …\. 7 things were looked at/)
  expect(finding.message).toMatch(/It is not looked at by itself\.$/)
})

it('takes into account who has looked at a single node since then', () => {
  const whole = report('2', null, ['a', 'b'], ['c'])
  const mended = report('3', 'a', [], ['a'])
  const older = report('1', 'b', [], ['b'])
  expect(storageFinding([mended, whole, older], 3).message).toMatch(/^Something is wrong with 1: b\./)
  const both = [report('4', 'b', [], ['b']), mended, whole]
  expect(storageFinding(both, 3).state).toBe('ok')
  expect(storageFinding([report('5', 'c', ['c']), ...both], 3).message).toMatch(/^Something is wrong with 1: c\./)
})
