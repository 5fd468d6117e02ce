import { randomUUID } from 'node:crypto'
import { overlayFileName } from '../src/domain/layout.js'
import { startCounting } from '../test/qemu/counting-guest.js'
import { createProcessLab } from '../test/qemu/process-lab.js'
import { median, type Bench } from './bench.js'

const ROUNDS = 15
/** Numbers that the guest writes in each window: some 0.2 s. */
const WINDOW = 60

export const benches: Bench[] = [
  { name: 'snapshot: guest gap of a live snapshot against its idle jitter', goal: 2, run: liveSnapshot },
]

/**
 * A guest writes numbers to its disk without end and tells each one. The longest silence in a window in which a snapshot
 * is taken, against the longest in one of the same length just before.
 */
async function liveSnapshot(): Promise<{ ratio: number; detail: string }> {
  const lab = await createProcessLab({ sizeMib: 64 })
  try {
    const engine = await lab.open({ timings: {} })
    const guest = await startCounting(engine, lab)
    const [idle, during, pauses] = [[] as number[], [] as number[], [] as number[]]
    for (let round = 0; round < ROUNDS; round += 1) {
      guest.longestGapMs()
      await guest.goesOn(WINDOW)
      idle.push(guest.longestGapMs())
      const id = randomUUID()
      const file = overlayFileName(guest.node.id)
      const disk = { driveId: 'root', file, layerFile: `layer_${id}.qcow2`, freshFile: `.fresh_${id}.qcow2` }
      const gone = guest.goesOn(WINDOW)
      pauses.push((await engine.snapshotDisks(guest.node.id, { key: id, disks: [disk] })).pauseMs)
      await gone
      during.push(guest.longestGapMs())
    }
    guest.close()
    const [gapMs, idleMs] = [median(during), median(idle)]
    const detail = `${gapMs.toFixed(1)} ms against ${idleMs.toFixed(1)} ms; QEMU's answer took ${median(pauses).toFixed(1)} ms`
    return { ratio: gapMs / idleMs, detail }
  } finally {
    await lab.close()
  }
}
