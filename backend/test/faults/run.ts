import { parseArgs } from 'node:util'
import { runBackends } from './backends.js'
import { runCorruption } from './corruption.js'
import { runErrnos } from './errnos.js'
import { runKills } from './kills.js'
import { parsePoint } from './points.js'
import { runPowerCuts } from './power.js'
import { failuresOf, reportOf, writeReport } from './report.js'
import type { PartOptions, Result } from './result.js'

const USAGE = `npm run faults -- [--only PART[,PART…]] [--seed N] [--point POINT] [--short] [--most N] [--report FILE.md]
  PART    kills errnos power corruption backends strangers
  N       no more kills, and no more errors, than these, in even steps over all operations
  POINT   <operation>:<syscall>:<n>[:<errno>], or <operation>:<syscall>:<n>+boot:<syscall>:<n>: this one alone`

/** Exit 3 when anything was lost, half made or leaked. */
const { values } = parseArgs({
  options: {
    only: { type: 'string', default: 'kills,errnos,power,corruption,backends,strangers' },
    seed: { type: 'string', default: '20261121' },
    point: { type: 'string' },
    short: { type: 'boolean', default: false },
    most: { type: 'string' },
    report: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  process.stdout.write(`${USAGE}\n`)
  process.exit(0)
}
const options: PartOptions = {
  seed: Number(values.seed),
  short: values.short,
  log: (text) => process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`),
}
const every = values.short ? 10 : 1
const most = values.most === undefined ? undefined : Number(values.most)

const PARTS: Record<string, () => Promise<Result | Result[]>> = {
  kills: () => runKills({ ...options, every, most }),
  errnos: () => runErrnos({ ...options, every, most }),
  power: () => runPowerCuts({ ...options, cuts: values.short ? 6 : 200 }),
  corruption: () => runCorruption(options),
  backends: () => runBackends(options),
  strangers: async () => (await import('./strangers.js')).runStrangers(options),
}

const began = performance.now()
const results: Result[] = []
const reportSoFar = () => reportOf(results, performance.now() - began, options.seed)
if (values.point === undefined) {
  for (const name of values.only.split(',')) {
    const part = PARTS[name]
    if (!part) throw new Error(`there is no part ${name}\n${USAGE}`)
    results.push(...[await part()].flat())
    if (values.report !== undefined) await writeReport(values.report, reportSoFar()) // a run of an hour may be cut short
  }
} else {
  const only = parsePoint(values.point)
  results.push(await (only.fault === 'KILL' ? runKills : runErrnos)({ ...options, every: 1, only }))
}
const report = reportSoFar()
process.stdout.write(`${report}\n`)
const failures = failuresOf(results)
if (failures !== '') process.stdout.write(`\n${failures}\n`)
if (values.report !== undefined) await writeReport(values.report, report)
process.exitCode = results.some((result) => result.failures.length > 0) ? 3 : 0
