import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { overlayFileName } from '../src/domain/layout.js'
import { layoutOf } from '../src/domain/layout.js'
import { scanDisks, unnamedDisks } from '../src/storage/orphan-scan.js'
import { markDetached } from '../src/storage/sidecars.js'
import { writeQcow2Overlay } from '../src/system/qcow2-overlay.js'
import { addTestImage } from '../test/support/lab.js'
import { paired, type Bench } from './bench.js'
import { startRealLab } from '../test/support/real-lab.js'

const run = promisify(execFile)
const FILES = 1000
const ROUNDS = 3

export const benches: Bench[] = [
  {
    name: 'find 1,000 orphans by their headers, against 1,000 times qemu-img info',
    goal: 1 / 50,
    run: scanBare,
  },
  {
    name: 'list 1,000 orphans over the API, each with the record of its former node, against the same',
    goal: 1 / 5,
    run: listWithRecords,
  },
]

async function scanBare() {
  const folder = await mkdtemp(join(tmpdir(), 'sandlabx-bench-'))
  const layout = layoutOf(folder)
  await mkdir(layout.overlays, { recursive: true })
  await mkdir(layout.images, { recursive: true })
  const names = Array.from({ length: FILES }, () => overlayFileName(randomUUID()))
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', join(layout.images, 'empty.qcow2'), '16M'])
  for (const name of names) await writeDisk(join(layout.overlays, name))
  try {
    const ours = async () => {
      const found = await unnamedDisks(layout, await scanDisks(layout), new Set(['/images/empty.qcow2']))
      if (found.length !== FILES) throw new Error(`found ${found.length}`)
    }
    return described(await paired(ours, () => infoOfAll(layout.overlays, names), ROUNDS))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function listWithRecords() {
  const lab = await startRealLab()
  const { layout } = lab
  try {
    const { store } = lab.backend.services.lab!
    await addTestImage(layout, store)
    const person = await lab.person('administrator')
    await person.send('POST', '/api/nodes', { name: 'model', image: 'empty' })
    const model = store.data.nodes[0]!
    const ids = Array.from({ length: FILES }, () => randomUUID())
    for (const id of ids) {
      await writeDisk(join(layout.overlays, overlayFileName(id)))
      const record = { ...model, id: id as typeof model.id, overlayFile: overlayFileName(id) } // a UUID of ours
      await markDetached(layout, record)
    }
    const ours = async () => {
      const { body } = await person.send('GET', '/api/storage/orphans')
      if (body.orphans.length !== FILES || body.orphans[0].formerly === null) throw new Error('not all were found')
    }
    return described(await paired(ours, () => infoOfAll(layout.overlays, ids.map(overlayFileName)), ROUNDS))
  } finally {
    await lab.close()
  }
}

const writeDisk = (path: string) =>
  writeQcow2Overlay(path, { backingFile: '../images/empty.qcow2', virtualSizeBytes: 16 * 1024 ** 2 })

/** As a shell would, two at once: this machine has two processors. */
async function infoOfAll(folder: string, names: readonly string[]): Promise<void> {
  const half = Math.ceil(names.length / 2)
  const each = async (some: readonly string[]) => {
    for (const name of some) await run('qemu-img', ['info', '-f', 'qcow2', '--output=json', name], { cwd: folder })
  }
  await Promise.all([each(names.slice(0, half)), each(names.slice(half))])
}

function described({ ratio, oursMs, plainMs }: { ratio: number; oursMs: number; plainMs: number }) {
  return { ratio, detail: `${oursMs.toFixed(0)} ms against ${plainMs.toFixed(0)} ms, ${ROUNDS} rounds` }
}
