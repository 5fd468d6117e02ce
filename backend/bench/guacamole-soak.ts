import { cpus } from 'node:os'
import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Bench } from './bench.js'
import { startGuacamoleLab } from './guacamole-lab.js'

const VIEWERS = 20
/** `SANDLABX_BENCH_MINUTES` for a shorter try. */
const MINUTES = Number(process.env['SANDLABX_BENCH_MINUTES'] ?? 5)

/** Only by name, `npm run bench -- soak`, because it takes its minutes. */
export const benches: Bench[] = [
  {
    name: `soak: connections dropped of ${VIEWERS} viewers of a screen that never rests, ${MINUTES} minutes`,
    goal: 0,
    unit: 'dropped',
    async run() {
      const lab = await startGuacamoleLab('painting')
      try {
        const addresses = await Promise.all(Array.from({ length: VIEWERS }, () => lab.address()))
        const viewers = fork(fileURLToPath(new URL('guacamole-viewers.js', import.meta.url)), [
          lab.origin,
          String(MINUTES * 60_000),
          ...addresses,
        ])
        const { dropped, frames, slowestMs, ends } = await report(viewers)
        for (const end of ends) process.stderr.write(`  dropped: ${end}\n`)
        const detail = `${cpus().length} CPUs; ${(frames / VIEWERS / MINUTES / 60).toFixed(1)} frames/s each, longest gap ${(slowestMs / 1000).toFixed(1)} s`
        return { ratio: dropped, detail }
      } finally {
        await lab.close()
      }
    },
  },
]

interface Report {
  dropped: number
  frames: number
  slowestMs: number
  /** Of each one that was dropped: code, reason, when. */
  ends: string[]
}

function report(child: ChildProcess): Promise<Report> {
  return new Promise((resolve, reject) => {
    child.once('message', (message) => resolve(message as Report)) // ours
    child.once('exit', (code) => reject(new Error(`the viewers ended with ${code}`)))
  })
}
