import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { chmod, mkdtemp, open, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { imageFile, overlayFile } from '../src/domain/layout.js'
import { copyStandalone } from '../src/storage/standalone-copy.js'
import { writeFileDurably } from '../src/system/durable-file.js'
import { workerIdentity } from '../src/system/identity.js'
import { type Person } from '../test/support/lab.js'
import { median, paired, timed, type Bench } from './bench.js'
import { withLab } from './with-lab.js'
import type { RealLab } from '../test/support/real-lab.js'

const run = promisify(execFile)
const MIB = 1024 ** 2
const FORM = ['-o', 'cluster_size=128k,extended_l2=on']

export const benches: Bench[] = [
  {
    name: 'clone: linked, of a used stopped node, over the API to its end, against qemu-img create and a durable write',
    goal: 2,
    run: linkedClone,
  },
  {
    name: 'clone: full, over the API to its end, against the time of qemu-img convert (to the disk)',
    goal: 1 / 0.8,
    run: () => fullClone(['-t', 'writeback']),
  },
  {
    name: 'clone: the copy itself, against a qemu-img convert that does not wait for the disk',
    goal: 1 / 0.8,
    run: bareCopy,
  },
]

async function newNode(person: Person, image = 'empty'): Promise<string> {
  const { status, body } = await person.send('POST', '/api/nodes', { name: `n-${randomUUID().slice(0, 8)}`, image })
  if (status !== 201) throw new Error(JSON.stringify(body))
  return body.node.id
}

async function clone(lab: RealLab, person: Person, id: string, full: boolean): Promise<string> {
  const name = `c-${randomUUID().slice(0, 8)}`
  const { status, body } = await person.send('POST', `/api/nodes/${id}/clone`, { name, full })
  if (status !== 202) throw new Error(JSON.stringify(body))
  await lab.backend.services.lab!.operations.ended(body.operation.id)
  return body.operation.items[0].id
}

function linkedClone() {
  return withLab(async (lab, person) => {
    const { layout } = lab.backend.services.config
    const rounds = 25
    const sources: string[] = []
    for (let round = 0; round < rounds; round += 1) {
      const id = await newNode(person)
      await run('qemu-io', ['-f', 'qcow2', '-c', 'write -q 1M 64k', overlayFile(layout, id)])
      sources.push(id)
    }
    const state = await readFile(layout.stateFile)
    let count = 0
    const plain = async () => {
      count += 1
      const backing = ['-b', imageFile(layout, 'empty.qcow2'), '-F', 'qcow2']
      await run('qemu-img', ['create', '-q', '-f', 'qcow2', ...FORM, ...backing, join(lab.dataDir, `plain-${count}`)])
      await writeFileDurably(join(lab.dataDir, 'plain.json'), state)
    }
    const { ratio, oursMs, plainMs } = await paired(() => clone(lab, person, sources.pop() ?? '', false), plain, rounds)
    return { ratio, detail: `${oursMs.toFixed(1)} against ${plainMs.toFixed(1)} ms, ${rounds} rounds` }
  })
}

/** A compressed base image of half data that packs well, half that does not, as a distribution is; an overlay on top. */
async function makeChain(base: string, overlay: string, sizeMib: number): Promise<void> {
  const raw = `${base}.raw`
  const file = await open(raw, 'w')
  const node = await readFile(process.execPath)
  for (let at = 0; at < sizeMib; at += 32) await file.write(node, 0, Math.min(node.length, 32 * MIB), at * MIB)
  await file.truncate(2 * sizeMib * MIB)
  await file.close()
  await rm(base, { force: true })
  await run('qemu-img', ['convert', '-c', '-f', 'raw', '-O', 'qcow2', '-o', 'compression_type=zstd', raw, base])
  await rm(raw)
  await chmod(base, 0o444)
  await rm(overlay, { force: true })
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', ...FORM, '-b', base, '-F', 'qcow2', overlay])
  await run('qemu-io', ['-c', `write -q -P 7 ${sizeMib / 2}M ${sizeMib / 2}M`, overlay])
}

const SIZE_MIB = 768
/** The disk of a shared machine takes 0.8 to 1.3 times as long as itself. */
const COPIES = 5

function fullClone(cache: string[]) {
  return withLab(async (lab, person) => {
    const { layout } = lab.backend.services.config
    const { store } = lab.backend.services.lab!
    const base = imageFile(layout, 'packed.qcow2')
    await makeChain(base, join(lab.dataDir, 'overlay.qcow2'), SIZE_MIB)
    const { size, mtimeMs } = await stat(base)
    const fingerprint = { sha256: 'a'.repeat(64), sizeBytes: size, mtimeMs: Math.floor(mtimeMs) }
    const virtualSizeBytes = 2 * SIZE_MIB * MIB
    await store.change((draft) => {
      const [image] = draft.images
      if (image)
        draft.images.push({ ...image, id: 'packed' as never, file: 'packed.qcow2', fingerprint, virtualSizeBytes })
    })
    const id = await newNode(person, 'packed')
    await run('qemu-io', ['-c', `write -q -P 7 ${SIZE_MIB / 2}M ${SIZE_MIB / 2}M`, overlayFile(layout, id)])
    const target = join(lab.dataDir, 'plain.qcow2')
    const plain = () =>
      run('qemu-img', ['convert', ...cache, '-f', 'qcow2', '-O', 'qcow2', ...FORM, overlayFile(layout, id), target])
    const times = { ours: [] as number[], plain: [] as number[] }
    for (let round = 0; round < COPIES; round += 1) {
      times.plain.push(await timed(plain))
      await rm(target)
      let made = ''
      times.ours.push(await timed(async () => (made = await clone(lab, person, id, true))))
      await person.send('DELETE', `/api/nodes/${made}?deleteStorage=true`)
      await rm(`${layout.overlays}/.trash`, { recursive: true, force: true })
    }
    const [oursMs, plainMs] = [median(times.ours), median(times.plain)]
    const rate = (ms: number) => `${Math.round((SIZE_MIB / ms) * 1000)} MiB/s`
    return { ratio: oursMs / plainMs, detail: `${rate(oursMs)} against ${rate(plainMs)}, ${SIZE_MIB} MiB of data` }
  })
}

/** Without fsync on the other side: what the checksums and the durable end cost. */
async function bareCopy() {
  const folder = await mkdtemp(join(tmpdir(), 'sandlabx-bench-'))
  const [base, overlay] = [join(folder, 'base.qcow2'), join(folder, 'overlay.qcow2')]
  try {
    await chmod(folder, 0o755)
    await makeChain(base, overlay, SIZE_MIB)
    await chmod(overlay, 0o444)
    const target = join(folder, 'copy.qcow2')
    const fresh = async (work: () => Promise<unknown>) => {
      const ms = await timed(work)
      await rm(target)
      await rm(`${target}.log`, { force: true })
      return ms
    }
    const times = { ours: [] as number[], plain: [] as number[] }
    const signal = new AbortController().signal
    const copy = { files: [overlay, base], identity: workerIdentity(), virtualSizeBytes: 2 * SIZE_MIB * MIB, target }
    for (let round = 0; round < COPIES; round += 1) {
      times.plain.push(
        await fresh(() => run('qemu-img', ['convert', '-f', 'qcow2', '-O', 'qcow2', ...FORM, overlay, target])),
      )
      times.ours.push(await fresh(() => copyStandalone({ ...copy, signal, onBytes: () => undefined })))
    }
    const [oursMs, plainMs] = [median(times.ours), median(times.plain)]
    const rate = (ms: number) => `${Math.round((SIZE_MIB / ms) * 1000)} MiB/s`
    return { ratio: oursMs / plainMs, detail: `${rate(oursMs)} against ${rate(plainMs)}, ${SIZE_MIB} MiB of data` }
  } finally {
    await rm(folder, { recursive: true })
  }
}
