import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { layoutOf, overlayFile } from '../src/domain/layout.js'
import { createOverlay } from '../src/storage/overlays.js'
import { createLimiter } from '../src/system/limiter.js'
import { openTerminal } from '../test/qemu/guest-terminal.js'
import { provideImage } from '../test/support/built-images.js'
import { paired, type Bench } from './bench.js'
import { layRecipes } from './recipes.js'
import { startRealLab } from '../test/support/real-lab.js'

const run = promisify(execFile)
const GIB = 1024 ** 3
const OVERLAYS = 1000
const WRITES = 4000
const WRITE_BYTES = 4096

export const benches: Bench[] = [
  { name: 'disks: 1,000 durable overlays, against 1,000 times qemu-img create', goal: 1 / 6, run: manyOverlays },
  {
    name: 'disks: bytes held after 4,000 random writes of 4 KiB, against what was written',
    goal: 1.2,
    run: randomWrites,
  },
  {
    name: 'disks: bytes held after a file was deleted and trimmed in the guest, against before',
    goal: 1.5,
    run: trimmed,
  },
]

async function manyOverlays(): Promise<{ ratio: number; detail: string }> {
  const dataDir = await mkdtemp(join(tmpdir(), 'sandlabx-bench-'))
  const layout = layoutOf(dataDir)
  for (const folder of [layout.images, layout.overlays]) await mkdir(folder)
  const base = join(layout.images, 'base.qcow2')
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', base, String(GIB)])
  let round = 0
  const limiter = createLimiter(32)
  const ours = async () => {
    const at = (round += 1)
    const make = (index: number) =>
      createOverlay({
        layout,
        nodeId: `${at}-${index}`,
        imageFile: 'base.qcow2',
        virtualSizeBytes: GIB,
        baseVirtualSizeBytes: GIB,
      })
    await Promise.all(Array.from({ length: OVERLAYS }, (_, index) => limiter.run(() => make(index))))
  }
  const plain = async () => {
    for (let index = 0; index < OVERLAYS; index += 1) {
      const file = join(dataDir, `plain-${index}.qcow2`)
      await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', base, file])
    }
  }
  try {
    const { ratio, oursMs, plainMs } = await paired(ours, plain, 3)
    return { ratio, detail: `${(oursMs / 1000).toFixed(2)} s against ${(plainMs / 1000).toFixed(2)} s, 3 rounds` }
  } finally {
    await rm(dataDir, { recursive: true, force: true })
  }
}

/** Over a base that is full, so that whatever is copied up shows. */
async function randomWrites(): Promise<{ ratio: number; detail: string }> {
  const dataDir = await mkdtemp(join(tmpdir(), 'sandlabx-bench-'))
  const layout = layoutOf(dataDir)
  for (const folder of [layout.images, layout.overlays]) await mkdir(folder)
  const base = join(layout.images, 'base.qcow2')
  try {
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', base, String(GIB)])
    await run('qemu-io', ['-f', 'qcow2', '-c', `write -q -P 7 0 ${GIB}`, base])
    const [nodeId, imageFile] = ['bench', 'base.qcow2']
    await createOverlay({ layout, nodeId, imageFile, virtualSizeBytes: GIB, baseVirtualSizeBytes: GIB })
    const disk = overlayFile(layout, nodeId)
    const before = await held(disk)
    // The same places each time: a linear congruence walks through all 4 KiB blocks without meeting one twice.
    const blocks = GIB / WRITE_BYTES
    const lines = Array.from({ length: WRITES }, (_, index) => {
      const block = (index * 104_729 + 12_345) % blocks
      return `write -q -P 9 ${block * WRITE_BYTES} ${WRITE_BYTES}`
    })
    const io = spawn('qemu-io', ['-f', 'qcow2', disk], { stdio: ['pipe', 'ignore', 'inherit'] })
    io.stdin.end(`${lines.join('\n')}\nflush\nq\n`)
    await once(io, 'exit')
    const bytes = (await held(disk)) - before
    const payload = WRITES * WRITE_BYTES
    const mib = (value: number) => (value / 1024 ** 2).toFixed(1)
    return { ratio: bytes / payload, detail: `${mib(bytes)} MiB for ${mib(payload)} MiB` }
  } finally {
    await rm(dataDir, { recursive: true, force: true })
  }
}

/** 100 MB in a file of a running guest, deleted, and `fstrim`. */
async function trimmed(): Promise<{ ratio: number; detail: string }> {
  await layRecipes()
  const lab = await startRealLab()
  const { layout, engine } = lab
  try {
    await provideImage(layout, lab.backend.services.lab!.store, 'debian-12')
    const person = await lab.person('instructor')
    const body = { name: 'trim', image: 'debian-12', memoryMib: 256, guestUser: 'ada', guestPassword: 'p', start: true }
    const { node } = (await person.send('POST', '/api/nodes', body)).body
    const target = await engine.console(node.id, 'serial')
    if (target.via !== 'unix') throw new Error('the console of a process is a unix socket')
    const terminal = await openTerminal(target.path)
    await terminal.signIn('ada', 'p')
    await terminal.run('sudo /sbin/fstrim / ; sync')
    const disk = overlayFile(layout, node.id)
    const before = await held(disk)
    await terminal.run('dd if=/dev/urandom of=big bs=1M count=100 2>/dev/null; sync', 180_000)
    const full = await held(disk)
    await terminal.run('rm big; sync; sudo /sbin/fstrim /; sync')
    const after = await held(disk)
    terminal.close()
    await engine.stop(node.id, { key: 'over', graceMs: 0 }).wait()
    const mib = (value: number) => (value / 1024 ** 2).toFixed(0)
    return { ratio: after / before, detail: `${mib(before)} MiB, ${mib(full)} with the file, ${mib(after)} after` }
  } finally {
    await lab.close()
  }
}

const held = async (path: string) => (await stat(path)).blocks * 512
