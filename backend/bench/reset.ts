import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { imageFile, overlayFile } from '../src/domain/layout.js'
import { writeFileDurably } from '../src/system/durable-file.js'
import { type Person } from '../test/support/lab.js'
import { paired, timed, type Bench } from './bench.js'
import { withLab } from './with-lab.js'
import type { RealLab } from '../test/support/real-lab.js'

const run = promisify(execFile)
const FORM = ['-o', 'cluster_size=128k,extended_l2=on']
const ROUNDS = 15
/** What a person waits for, whatever the machine. */
const PROMISED_MS = 2000

export const benches: Bench[] = [
  {
    name: 'reset: a used stopped node, over the API to its end, against mv, one qemu-img create and a durable write',
    goal: 3,
    run: resetStopped,
  },
]

function resetStopped() {
  return withLab(async (lab, person) => {
    const { layout } = lab.backend.services.config
    const nodes: string[] = []
    for (let round = 0; round < ROUNDS; round += 1) nodes.push(await usedNode(lab, person))
    const [last = ''] = nodes
    const state = await readFile(layout.stateFile)
    let count = 0
    const plain = async () => {
      count += 1
      const disk = join(lab.dataDir, 'plain.qcow2')
      await rename(disk, join(lab.dataDir, `plain-${count}.qcow2`)).catch(() => undefined) // the first has none yet
      const backing = ['-b', imageFile(layout, 'empty.qcow2'), '-F', 'qcow2']
      await run('qemu-img', ['create', '-q', '-f', 'qcow2', ...FORM, ...backing, disk])
      await writeFileDurably(join(lab.dataDir, 'plain.json'), state)
    }
    const { ratio, oursMs, plainMs } = await paired(() => reset(lab, person, nodes.pop() ?? ''), plain, ROUNDS)
    const slowest = await timed(() => reset(lab, person, last))
    const within = slowest <= PROMISED_MS ? 'within' : 'NOT within'
    const again = `one more ${slowest.toFixed(1)} ms, ${within} the ${PROMISED_MS} ms of the promise`
    return {
      ratio,
      detail: `${oursMs.toFixed(1)} against ${plainMs.toFixed(1)} ms, ${ROUNDS} rounds; ${again}`,
    }
  })
}

async function usedNode(lab: RealLab, person: Person): Promise<string> {
  const name = `n-${randomUUID().slice(0, 8)}`
  const { status, body } = await person.send('POST', '/api/nodes', { name, image: 'empty' })
  if (status !== 201) throw new Error(JSON.stringify(body))
  const disk = overlayFile(lab.backend.services.config.layout, body.node.id)
  await run('qemu-io', ['-f', 'qcow2', '-c', 'write -q 1M 64k', disk])
  return body.node.id
}

async function reset(lab: RealLab, person: Person, id: string): Promise<void> {
  const { status, body } = await person.send('POST', `/api/nodes/${id}/reset`, {})
  if (status !== 202) throw new Error(JSON.stringify(body))
  await lab.backend.services.lab!.operations.ended(body.operation.id)
}
