import { cpus, totalmem } from 'node:os'
import Table from 'cli-table3'
import type { Bench } from './bench.js'

/** `npm run bench [-- WORD]`: every claim, or those whose name has the word. Exit 3 when one is missed. */
const ROOMS = [
  './state.js',
  './start.js',
  './serial.js',
  './guacamole.js',
  './api.js',
  './page.js',
  './batch.js',
  './load.js',
  './recovery.js',
  './clone.js',
  './reset.js',
  './boot.js',
  './disks.js',
  './snapshot.js',
  './suspend.js',
  './orphans.js',
]
const wanted = process.argv[2] ?? ''
/** Takes minutes, so only when it is asked for. */
if (wanted === 'soak') ROOMS.push('./guacamole-soak.js')
const table = new Table({ head: ['claim', 'goal', 'measured', '', 'detail'], style: { head: [], border: [] } })
let missed = 0

for (const room of ROOMS) {
  const { benches } = (await import(room)) as { benches: Bench[] } // each room exports this
  for (const bench of benches.filter(({ name }) => name.includes(wanted))) {
    process.stderr.write(`${bench.name} …\n`)
    const { ratio, detail } = await bench.run()
    const met = ratio <= bench.goal
    if (!met) missed += 1
    const unit = bench.unit ?? '×'
    table.push([bench.name, `≤ ${bench.goal} ${unit}`, `${ratio.toFixed(2)} ${unit}`, met ? 'met' : 'MISSED', detail])
  }
}
process.stdout.write(
  `${new Date().toISOString().slice(0, 10)}, ${cpus().length} CPUs, ${Math.round(totalmem() / 1024 ** 3)} GiB, Node ${process.version}\n`,
)
process.stdout.write(`${table.toString()}\n`)
process.exitCode = missed === 0 ? 0 : 3
