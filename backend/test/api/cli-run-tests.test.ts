import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { execFile, spawn } from 'node:child_process'
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from '../support/until.js'

// `scripts/run-tests.js` with an npm that only pretends: what each suite does is in the file PLAN.

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sandlabx-run-tests-'))
  await mkdir(join(folder, 'scripts'))
  await mkdir(join(folder, 'bin'))
  await writeFile(join(folder, 'package.json'), '{"type":"module"}')
  const repository = join(import.meta.dirname, '../../..')
  await copyFile(join(repository, 'scripts/run-tests.js'), join(folder, 'scripts/run-tests.js'))
  const npm = `#!${process.execPath}
const { readFileSync, writeFileSync } = require('node:fs')
const args = process.argv.slice(2)
const name = args.slice(2).join(' ').split(' -- ')[0]
const file = args.find((arg) => arg.startsWith('--outputFile='))?.slice(13)
const isAgain = file?.endsWith('.again')
const plan = JSON.parse(readFileSync(process.env.PLAN, 'utf8'))[isAgain ? 'again' : name] ?? {}
console.log('ran ' + name + (isAgain ? ' again: ' + args.slice(args.indexOf(file) - 1).filter((arg) => arg.startsWith('/')).join(' ') : ''))
if (plan.hang) setInterval(() => undefined, 1000)
else {
  if (file && plan.report !== null) {
    writeFileSync(file, JSON.stringify({ numPassedTests: 10, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0,
      numRuntimeErrorTestSuites: 0, ...plan.report }))
  }
  process.exitCode = plan.exitCode ?? 0
}
`
  await writeFile(join(folder, 'bin/npm'), npm)
  await writeFile(join(folder, 'bin/package.json'), '{"type":"commonjs"}')
  await chmod(join(folder, 'bin/npm'), 0o755)
})

afterEach(() => rm(folder, { recursive: true, force: true }))

const BACKEND = 'test --workspace backend'

async function runTests(plan: Record<string, unknown>, env: Record<string, string> = {}) {
  await writeFile(join(folder, 'plan'), JSON.stringify(plan))
  return new Promise<{ exitCode: number; lines: string[] }>((resolve) => {
    const options = { env: { PATH: join(folder, 'bin'), PLAN: join(folder, 'plan'), ...env } }
    execFile(process.execPath, [join(folder, 'scripts/run-tests.js')], options, (error, out) => {
      resolve({ exitCode: error ? Number(error.code) : 0, lines: out.trimEnd().split('\n') })
    })
  })
}

describe('the run of all tests', () => {
  it('counts checks and tests, and ends in one line', async () => {
    const { exitCode, lines } = await runTests({})
    expect(exitCode).toBe(0)
    expect(lines.at(-1)).toBe('33 passed, 0 failed')
    expect(lines.filter((line) => line.startsWith('ran '))).toEqual([
      'ran types',
      'ran lint',
      'ran format:check',
      'ran test --workspace backend',
      'ran test --workspace frontend',
      'ran e2e --workspace backend',
    ])
  })

  it('runs everything though something failed, and fails', async () => {
    const { exitCode, lines } = await runTests({
      lint: { exitCode: 1 },
      [BACKEND]: { exitCode: 1, report: { numFailedTests: 2 } },
    })
    expect(exitCode).toBe(1)
    expect(lines.at(-1)).toBe('32 passed, 3 failed')
  })

  describe('when a file failed', () => {
    const ofFile = (name: string, ...statuses: string[]) => ({
      name: join(folder, name),
      status: statuses.includes('failed') ? 'failed' : 'passed',
      assertionResults: statuses.map((status) => ({ status })),
    })
    const first = () => ({
      exitCode: 1,
      report: {
        numFailedTests: 1,
        testResults: [ofFile('a.test.ts', 'passed', 'failed'), ofFile('b.test.ts', 'passed')],
      },
    })

    it('runs it once more, alone, and says that it passed only then', async () => {
      const again = { report: { numPassedTests: 2 } }
      const { exitCode, lines } = await runTests({ [BACKEND]: first(), again })
      expect({ exitCode, last: lines.at(-1) }).toEqual({ exitCode: 0, last: '34 passed, 0 failed' })
      expect(lines).toContain(`ran ${BACKEND} again: ${join(folder, 'a.test.ts')}`)
      expect(lines.join('\n')).toContain('11 passed, 0 failed (passed only when run once more: a.test.ts)')
    })

    it('fails when it fails again', async () => {
      const again = { exitCode: 1, report: { numPassedTests: 1, numFailedTests: 1 } }
      const { exitCode, lines } = await runTests({ [BACKEND]: first(), again })
      expect({ exitCode, last: lines.at(-1) }).toEqual({ exitCode: 1, last: '33 passed, 1 failed' })
    })

    it('does not run half of a suite again: so many are no accident', async () => {
      const testResults = Array.from({ length: 7 }, (_, index) => ofFile(`${index}.test.ts`, 'failed'))
      const { lines } = await runTests({ [BACKEND]: { exitCode: 1, report: { numFailedTests: 7, testResults } } })
      expect(lines.at(-1)).toBe('33 passed, 7 failed')
    })
  })

  it.each([
    ['a suite file could not run', { exitCode: 1, report: { numRuntimeErrorTestSuites: 1 } }, '33 passed, 1 failed'],
    ['an exit that no test explains', { exitCode: 1 }, '33 passed, 1 failed'],
    ['no report', { exitCode: 1, report: null }, '23 passed, 1 failed'],
    ['not one test', { report: { numPassedTests: 0 } }, '23 passed, 1 failed'],
  ])('is a failure when there is %s', async (_what, plan, last) => {
    const { exitCode, lines } = await runTests({ [BACKEND]: plan })
    expect({ exitCode, last: lines.at(-1) }).toEqual({ exitCode: 1, last })
  })

  it('lets nothing skip in CI, and names what was skipped elsewhere', async () => {
    const plan = { [BACKEND]: { report: { numPendingTests: 3 } } }
    const here = await runTests(plan)
    expect({ exitCode: here.exitCode, last: here.lines.at(-1) }).toEqual({ exitCode: 0, last: '33 passed, 0 failed' })
    expect(here.lines.join('\n')).toContain('(3 skipped)')
    const ci = await runTests(plan, { CI: 'true' })
    expect({ exitCode: ci.exitCode, last: ci.lines.at(-1) }).toEqual({ exitCode: 1, last: '43 passed, 3 failed' })
  })

  it('runs the Compose tests where an engine answers, says so where none does, and never leaves them out in CI', async () => {
    const none = await runTests({})
    expect(none.lines).toContainEqual(expect.stringMatching(/^==> Compose: NOT RUN: no container engine/))
    expect((await runTests({}, { CI: '1' })).lines).toContain('ran compose --workspace backend')
    await writeFile(join(folder, 'bin/docker'), '#!/bin/sh\nexit 0\n', { mode: 0o755 })
    const { lines } = await runTests({})
    expect(lines).toContain('ran compose --workspace backend')
    expect(lines.at(-1)).toBe('43 passed, 0 failed')
  })

  it('ends what hangs when the time is over, and says so', async () => {
    const { exitCode, lines } = await runTests({ lint: { hang: true } }, { SANDLABX_TEST_MINUTES: '0.02' })
    expect(exitCode).toBe(1)
    expect(lines.at(-1)).toMatch(/^1 passed, 5 failed$/)
  })

  it('takes what it has started along when it is interrupted', async () => {
    await writeFile(join(folder, 'plan'), JSON.stringify({ types: { hang: true } }))
    const env = { PATH: join(folder, 'bin'), PLAN: join(folder, 'plan') }
    const child = spawn(process.execPath, [join(folder, 'scripts/run-tests.js')], { env })
    let out = ''
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
    await until(() => out.includes('ran types'))
    const started = (await readFile(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')).trim()
    child.kill('SIGINT')
    await until(() => child.exitCode !== null)
    expect(child.exitCode).toBe(130)
    await expect(readFile(`/proc/${started}/stat`)).rejects.toThrow('ENOENT')
  })
})
