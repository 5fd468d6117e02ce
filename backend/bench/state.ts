import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, open, readFile, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { layoutOf, type Layout } from '../src/domain/layout.js'
import { openStore, type Store } from '../src/state/store.js'
import { createOverlay } from '../src/storage/overlays.js'
import { runCommand } from '../src/system/command.js'
import { createLog } from '../src/system/log.js'
import { nodeRecord, uuidOf } from '../test/state/fixtures/records.js'
import { paired, type Bench } from './bench.js'

const NODES = 1000
const GIB = 1024 ** 3

export const benches: Bench[] = [
  { name: 'state: a commit at 1,000 nodes, against a plain durable write of the same file', goal: 3, run: oneCommit },
  { name: 'state: 500 concurrent changes at 1,000 nodes, against one plain durable write', goal: 20, run: manyChanges },
  { name: 'overlay: a durable one of ours, against qemu-img create of the same', goal: 1 / 2, run: oneOverlay },
]

function oneCommit() {
  return withStore(async (store, layout) => {
    let round = 0
    const ours = () => changeNode(store, (round += 1))
    return describe(await paired(ours, await plainWrite(layout), 60), layout)
  })
}

function manyChanges() {
  return withStore(async (store, layout) => {
    let round = 0
    const ours = () => Promise.all(Array.from({ length: 500 }, () => changeNode(store, (round += 1))))
    return describe(await paired(ours, await plainWrite(layout), 20), layout)
  })
}

async function changeNode(store: Store, round: number): Promise<void> {
  const id = uuidOf(round % NODES)
  await store.change((draft) => {
    const node = draft.nodes.find((one) => one.id === id)
    if (!node) throw new Error(`no node ${id}`)
    node.generation += 1
    node.desired = node.desired === 'running' ? 'stopped' : 'running'
  })
}

async function withStore<T>(work: (store: Store, layout: Layout) => Promise<T>): Promise<T> {
  const layout = layoutOf(await mkdtemp(join(tmpdir(), 'sandlabx-bench-')))
  const { store } = await openStore({ layout, log: createLog('silent') })
  try {
    await store.change((draft) => void draft.nodes.push(...Array.from({ length: NODES }, (_, i) => nodeRecord(i))))
    return await work(store, layout)
  } finally {
    await store.close()
    await rm(dirname(layout.state), { recursive: true })
  }
}

/** What any careful program must do for the same bytes: write, fsync, rename, fsync of the folder. */
async function plainWrite(layout: Layout): Promise<() => Promise<void>> {
  const bytes = await readFile(layout.stateFile)
  const folder = layout.state
  return async () => {
    const staging = join(folder, `plain-${randomBytes(4).toString('hex')}`)
    const file = await open(staging, 'wx')
    await file.writeFile(bytes)
    await file.sync()
    await file.close()
    await rename(staging, join(folder, 'plain'))
    const directory = await open(folder)
    await directory.sync()
    await directory.close()
  }
}

async function describe(result: { ratio: number; oursMs: number; plainMs: number }, layout: Layout) {
  const kib = Math.round((await readFile(layout.stateFile)).length / 1024)
  return {
    ratio: result.ratio,
    detail: `${kib} KiB: ${result.oursMs.toFixed(1)} against ${result.plainMs.toFixed(1)} ms`,
  }
}

async function oneOverlay() {
  const layout = layoutOf(await mkdtemp(join(tmpdir(), 'sandlabx-bench-')))
  await mkdir(layout.images)
  await mkdir(layout.overlays)
  const create = (...args: string[]) =>
    runCommand('qemu-img', ['create', '-q', '-f', 'qcow2', ...args], { timeoutMs: 20_000, cwd: layout.overlays })
  try {
    await create('../images/base.qcow2', '1G')
    let count = 0
    const plain = () =>
      create(
        '-b',
        '../images/base.qcow2',
        '-F',
        'qcow2',
        '-o',
        'cluster_size=128k,extended_l2=on',
        `plain-${count}.qcow2`,
        '10G',
      )
    const ours = () =>
      createOverlay({
        layout,
        nodeId: uuidOf((count += 1)),
        imageFile: 'base.qcow2',
        virtualSizeBytes: 10 * GIB,
        baseVirtualSizeBytes: GIB,
      })
    const { ratio, oursMs, plainMs } = await paired(ours, plain, 40)
    return { ratio, detail: `${oursMs.toFixed(1)} against ${plainMs.toFixed(1)} ms` }
  } finally {
    await rm(dirname(layout.images), { recursive: true })
  }
}
