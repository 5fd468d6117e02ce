import { describe, expect, it } from '@jest/globals'
import { PassThrough } from 'node:stream'
import { verifyReportSchema } from '../domain/storage.js'
import type { Io } from './io.js'
import { offeredRepairs, repairCommand, verifyLines } from './verify-views.js'

const io: Io = {
  stdin: new PassThrough(),
  stdout: new PassThrough(),
  stderr: new PassThrough(),
  env: {},
  homeDir: '/nonexistent',
  serverScript: '/nonexistent',
  onSignal: () => () => undefined,
}
const terminal: Io = {
  ...io,
  env: { NO_COLOR: '1' },
  stdout: Object.assign(new PassThrough(), { isTTY: true, columns: 60 }),
}

const ID = '00000000-0000-4000-8000-000000000001'
const repair = { repair: 'rebase', title: 'Stand on debian-12.', argument: 'debian-12' }
const finding = (path: string, ok: boolean, message: string, repairs: unknown[] = []) => ({
  check: 'chain',
  path,
  ok,
  message,
  repairs,
})
const subject = (type: string, name: string, findings: { ok: boolean }[]) => ({
  type,
  id: type === 'node' ? ID : name,
  name,
  ok: findings.every(({ ok }) => ok),
  findings,
})
const reportOf = (...subjects: { ok: boolean }[]) =>
  verifyReportSchema.parse({
    at: '2026-11-21T07:42:10.000Z',
    level: 'chain',
    ok: subjects.every(({ ok }) => ok),
    subjects,
  })

describe('the lines of a verification', () => {
  it('has one line for each file that is well, and one for each trouble', () => {
    const report = reportOf(
      subject('node', 'web', [
        finding('/overlays/a.qcow2', true, 'exists'),
        finding('/overlays/a.qcow2', false, 'the base image was changed', [repair]),
        finding('/overlays/a.qcow2', false, 'its record is missing'),
        finding('/overlays/b.qcow2', true, 'exists'),
        finding('/overlays/b.qcow2', true, 'header well'),
      ]),
    )
    expect(verifyLines(io, report, { brief: false })).toEqual([
      "Checking storage for node 'web'...",
      '  ✗ /overlays/a.qcow2 (the base image was changed)',
      '      → Stand on debian-12.',
      '  ✗ /overlays/a.qcow2 (its record is missing)',
      '  ✓ /overlays/b.qcow2 (exists, header well)',
      '',
      'ERROR: Some storage is not as it should be',
    ])
  })

  it('is brief about what is well, and counts what is not', () => {
    const report = reportOf(
      subject('node', 'web', [finding('/overlays/a.qcow2', false, 'torn')]),
      subject('image', 'tiny', [finding('/images/tiny.qcow2', true, 'exists')]),
      subject('registry', 'state', []),
    )
    expect(verifyLines(io, report, { brief: true })).toEqual([
      "Checking storage for node 'web'...",
      '  ✗ /overlays/a.qcow2 (torn)',
      "✓ image 'tiny': 1 file",
      '✓ the registry: 0 files',
      '',
      'ERROR: Some storage is not as it should be: 1 of 3 have problems',
    ])
  })

  it('breaks what a narrow terminal has no room for, between the words', () => {
    const report = reportOf(
      subject('node', 'web', [
        finding(`/overlays/${'x'.repeat(30)}.qcow2`, false, 'the base image under it was changed'),
      ]),
    )
    const lines = verifyLines(terminal, report, { brief: false })
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(60)
    expect(lines).toContain('      (the base image under it was changed)')
  })
})

describe('the repairs that a report offers', () => {
  const report = reportOf(
    subject('node', 'web', [
      finding('/overlays/a.qcow2', false, 'its base is missing', [repair]),
      finding('/overlays/a.qcow2', false, 'its chain is broken', [repair]),
      finding('/overlays/b.qcow2', true, 'exists', [repair]),
    ]),
  )

  it('are those of what is wrong with this node, each once', () => {
    expect(offeredRepairs(report, ID)).toEqual([{ ...repair, path: '/overlays/a.qcow2' }])
    expect(offeredRepairs(report, 'another')).toEqual([])
  })

  it('are told as commands', () => {
    const [offer] = offeredRepairs(report, ID)
    expect(offer && repairCommand('web', offer)).toBe(
      'sandlabx storage repair web --repair rebase --path /overlays/a.qcow2 --argument debian-12',
    )
  })
})
