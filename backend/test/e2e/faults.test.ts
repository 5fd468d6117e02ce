import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { runBackends } from '../faults/backends.js'
import { runCorruption } from '../faults/corruption.js'
import { runErrnos } from '../faults/errnos.js'
import { compileProgram, type Program } from '../faults/fuzz-program.js'
import { requireAllProcedures, runKills } from '../faults/kills.js'
import { runPowerCuts } from '../faults/power.js'
import type { Result } from '../faults/result.js'

/** A sample of `npm run faults` that is the same each time; the seed is that of its report. */
const options = { seed: 20_261_121, short: true, log: () => undefined }

let program: Program
beforeAll(async () => {
  program = await compileProgram()
})
afterAll(() => program.remove())

function expectNoHarm(result: Result): void {
  expect(result.failures).toEqual([])
  expect(result).toMatchObject({ lost: 0, half: 0, leaked: 0 })
}

describe('whatever dies in the middle', () => {
  it('each procedure of the product has a scenario that is tried', () => {
    expect(requireAllProcedures).not.toThrow()
  })

  it('kill -9 of the backend at any step: acknowledged is kept, the rest is whole or absent, no file leaks', async () => {
    const result = await runKills({ ...options, every: 1, most: 80, drill: program.path('test/faults/drill.js') })
    expectNoHarm(result)
    expect(result.points).toBeGreaterThan(40)
  }, 600_000)

  it('EIO, ENOSPC, EMFILE, EROFS at any call: no wrong success, memory is the disk, it goes on', async () => {
    const result = await runErrnos({ ...options, every: 1, most: 60, drill: program.path('test/faults/drill.js') })
    expectNoHarm(result)
    expect(result.points).toBeGreaterThan(40)
  }, 600_000)

  it('host power cut: every acknowledged change is there, and a writer without fsync is found out', async () => {
    const result = await runPowerCuts({ ...options, cuts: 6, churn: program.path('test/faults/churn.js') })
    expectNoHarm(result)
    expect(result.points).toBe(6)
  })

  it('state corrupt, truncated, older, newer, missing: never an empty start, nothing overwritten', async () => {
    const result = await runCorruption(options)
    expectNoHarm(result)
    expect(result.points).toBeGreaterThan(40)
  })

  it('two backends, concurrent retries, racing starts, kill -9 with 10 running nodes', async () => {
    const results = await runBackends({ ...options, main: program.path('src/main.js') })
    for (const result of results) expectNoHarm(result)
    expect(results.map(({ points }) => points)).toEqual([1, 300, 200, 5, 5])
  })
})
