import { execFile } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { addTestImage } from '../test/support/lab.js'
import { paired, type Bench } from './bench.js'
import { startRealLab } from '../test/support/real-lab.js'

const run = promisify(execFile)
const NODES = 100
const ROUNDS = 5

export const benches: Bench[] = [
  {
    name: 'create 100 nodes with one call, against 100 times qemu-img create',
    goal: 1 / 6,
    run: () => createMany(false),
  },
  {
    name: 'the same with a generated password for each guest, whose hash takes its time on purpose',
    goal: 1 / 2,
    run: () => createMany(true),
  },
]

/** Until all of it is durable and committed, as a client of the API sees it. */
async function createMany(cloudInit: boolean): Promise<{ ratio: number; detail: string }> {
  const lab = await startRealLab()
  const { layout } = lab
  try {
    const { store, operations } = lab.backend.services.lab!
    const image = await addTestImage(layout, store, 'empty', { cloudInit })
    const person = await lab.person('instructor')
    const plainFolder = join(layout.overlays, '.plain')
    await mkdir(plainFolder)
    let round = 0
    const ours = async () => {
      const batch = { template: { image: 'empty' }, count: NODES, name: `r${(round += 1)}-{n}` }
      const { status, body } = await person.send('POST', '/api/nodes/batch', batch)
      if (status !== 202) throw new Error(JSON.stringify(body))
      await operations.ended(body.operation.id)
    }
    const plain = async () => {
      const base = join(layout.images, image.file)
      for (let count = 0; count < NODES; count += 1) {
        const file = join(plainFolder, `${round}-${count}.qcow2`)
        await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', base, file])
      }
    }
    const { ratio, oursMs, plainMs } = await paired(ours, plain, ROUNDS)
    return { ratio, detail: `${oursMs.toFixed(0)} ms against ${plainMs.toFixed(0)} ms, ${ROUNDS} rounds` }
  } finally {
    await lab.close()
  }
}
