import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nodeIdSchema, type NodeId } from '../src/domain/ids.js'
import { journalDir, layoutOf, overlayFileName, type Layout } from '../src/domain/layout.js'
import type { NodeRecord } from '../src/domain/node.js'
import type { NodeEngine } from '../src/hosts/engine.js'
import { macOf } from '../src/hosts/machine.js'
import { createProcessEngine } from '../src/hosts/process-engine.js'
import { createOverlay } from '../src/storage/overlays.js'
import { writeSidecar } from '../src/storage/sidecars.js'
import { createLimiter } from '../src/system/limiter.js'
import { createLog } from '../src/system/log.js'
import { openJournal } from '../src/transactions/journal.js'
import { newOperation } from '../src/transactions/operation-record.js'
import { ACTOR, openRooms } from '../test/faults/rooms.js'
import { nodeRecord, uuidOf } from '../test/state/fixtures/records.js'
import { specOver } from '../test/support/node-spec.js'
import { addTestImage } from '../test/support/test-image.js'
import { makeTinyImage } from '../test/support/tiny-guest.js'
import { median, timed, type Bench } from './bench.js'

const NODES = 1000
const HALF_MADE = 20
const RUNNING = 10
const ROUNDS = 5

export const benches: Bench[] = [
  {
    name: 'recovery: a start over 1,000 nodes and 20 half-made operations, until ready',
    goal: 2000,
    unit: 'ms',
    run: recover,
  },
  { name: 'recovery: 10 running nodes, until adopted', goal: 1000, unit: 'ms', run: adopt },
]

/** Lock, state, journal, every disk looked at: all that comes before the first request but the database. */
async function recover() {
  const dataDir = await mkdtemp(join(tmpdir(), 'sandlabx-bench-'))
  try {
    const { layout, base } = await makeLab(dataDir)
    const times: number[] = []
    for (let round = 0; round < ROUNDS; round += 1) {
      await leaveHalfMade(layout, base, round)
      let rooms: Awaited<ReturnType<typeof openRooms>> | undefined
      times.push(await timed(async () => (rooms = await openRooms(dataDir))))
      const undone = rooms?.transactions.recovery?.undone.length
      if (undone !== HALF_MADE) throw new Error(`${undone} of ${HALF_MADE} operations were undone`)
      await rooms?.close()
    }
    return { ratio: median(times), detail: `${ROUNDS} starts, slowest ${Math.max(...times).toFixed(0)} ms` }
  } finally {
    await rm(dataDir, { recursive: true })
  }
}

async function makeLab(dataDir: string): Promise<{ layout: Layout; base: NodeRecord }> {
  const rooms = await openRooms(dataDir)
  const image = await addTestImage(rooms.layout, rooms.store)
  const base = nodeRecord(0, { imageId: image.id, base: image.fingerprint, diskBytes: image.virtualSizeBytes })
  const limiter = createLimiter(8)
  const records = Array.from({ length: NODES }, (_, i) => ({ ...base, ...named(uuidOf(i), `node-${i}`) }))
  await Promise.all(
    records.map((record) =>
      limiter.run(async () => {
        await makeDisk(rooms.layout, image.file, record)
        await writeSidecar(rooms.layout, record)
      }),
    ),
  )
  await rooms.store.change((draft) => void draft.nodes.push(...records))
  await rooms.close()
  return { layout: rooms.layout, base }
}

/** As a kill leaves a create: its intent and its disk, and no record. */
async function leaveHalfMade(layout: Layout, base: NodeRecord, round: number): Promise<void> {
  const { journal } = await openJournal(journalDir(layout))
  for (let i = 0; i < HALF_MADE; i += 1) {
    const record = { ...base, ...named(uuidOf(1_000_000 + round * HALF_MADE + i), `half-${i}`) }
    const about = {
      kind: 'node.create',
      title: `Create half-${i}`,
      actor: ACTOR,
      target: null,
      cancellable: false,
    } as const
    await journal.write(newOperation(about, new Date().toISOString()), { records: [record] })
    await makeDisk(layout, `${base.imageId}.qcow2`, record)
  }
}

function named(uuid: string, name: string) {
  const id = nodeIdSchema.parse(uuid)
  return { id, name, overlayFile: overlayFileName(id), mac: macOf(id) }
}

function makeDisk(layout: Layout, imageFile: string, record: NodeRecord): Promise<void> {
  const bytes = record.diskBytes
  return createOverlay({ layout, nodeId: record.id, imageFile, virtualSizeBytes: bytes, baseVirtualSizeBytes: bytes })
}

async function adopt() {
  const dataDir = await mkdtemp(join(tmpdir(), 'sbx-bench-'))
  const layout = layoutOf(dataDir)
  const open = () => createProcessEngine({ layout, dataDir, log: createLog('silent'), accelerator: 'tcg' })
  const ids: NodeId[] = []
  let engine: NodeEngine | undefined
  try {
    await mkdir(layout.overlays, { recursive: true })
    const image = await makeTinyImage(layout)
    engine = await open()
    for (let i = 0; i < RUNNING; i += 1) {
      const id = nodeIdSchema.parse(randomUUID())
      await engine.ensureNode(specOver(image, id), 'make').wait()
      await engine.start(specOver(image, id), 'start').wait()
      ids.push(id)
    }
    const times: number[] = []
    for (let round = 0; round < ROUNDS; round += 1) {
      await engine.close()
      const began = performance.now()
      engine = await open()
      const adopted = (await engine.list()).filter(({ phase }) => phase === 'running').length
      times.push(performance.now() - began)
      if (adopted !== RUNNING) throw new Error(`${adopted} of ${RUNNING} nodes were adopted`)
    }
    return { ratio: median(times), detail: `${ROUNDS} starts, slowest ${Math.max(...times).toFixed(0)} ms` }
  } finally {
    for (const id of ids) await engine?.stop(id, { key: 'end', graceMs: 0 }).wait()
    await engine?.close()
    await rm(dataDir, { recursive: true, force: true })
  }
}
