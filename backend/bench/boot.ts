import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { nodeIdSchema } from '../src/domain/ids.js'
import type { Image } from '../src/domain/image.js'
import { layoutOf, type Layout } from '../src/domain/layout.js'
import { GIB } from '../src/domain/units.js'
import type { NodeEngine, NodeSpec } from '../src/hosts/engine.js'
import { createProcessEngine } from '../src/hosts/process-engine.js'
import { runCommand } from '../src/system/command.js'
import { createLog } from '../src/system/log.js'
import { makeSeedIso } from '../src/system/seed-iso.js'
import { provideImageFiles, type StarterId } from '../test/support/built-images.js'
import { specOver } from '../test/support/node-spec.js'
import { openTerminal, type GuestTerminal } from '../test/qemu/guest-terminal.js'
import { median, type Bench } from './bench.js'
import { layRecipes } from './recipes.js'

const DISK_BYTES = 6 * GIB
const LOGIN = /login: $/

/** The first boot of a fresh node, with its seed and a disk that must grow, until the login prompt on the serial line. */
export const benches: Bench[] = [
  { name: 'boot to a login: tiny, against the bare QEMU command line', goal: 1.3, run: () => boots('tiny', 256, 5) },
  { name: 'boot to a login: debian-12, against the same', goal: 1.3, run: () => boots('debian-12', 512, 5) },
  {
    name: 'boot to a login: debian-12 with a port for its agent, against without',
    goal: 1.1,
    run: () => bootsWithPort('debian-12', 512, 5),
  },
  {
    name: 'boot to a login: debian-12-systemd, against the same',
    goal: 1.3,
    run: () => boots('debian-12-systemd', 512, 3),
  },
]

/** Whether the port, which the Debian images have from their creation on, costs the first login anything. */
async function bootsWithPort(id: StarterId, memoryMib: number, rounds: number) {
  return compared(id, rounds, async ({ engine, image }) => ({
    bare: await oursOnce(engine, image, memoryMib),
    ours: await oursOnce(engine, image, memoryMib, { agent: true }),
  }))
}

function boots(id: StarterId, memoryMib: number, rounds: number) {
  return compared(id, rounds, async ({ layout, engine, image }) => ({
    bare: await bareOnce(layout, image, memoryMib),
    ours: await oursOnce(engine, image, memoryMib),
  }))
}

interface Places {
  layout: Layout
  engine: NodeEngine
  image: Image
}

async function compared(
  id: StarterId,
  rounds: number,
  once: (places: Places) => Promise<{ bare: number; ours: number }>,
): Promise<{ ratio: number; detail: string }> {
  await layRecipes()
  const dataDir = await mkdtemp(join(tmpdir(), 'sbx-bench-'))
  const layout = layoutOf(dataDir)
  await mkdir(layout.overlays, { recursive: true })
  const image = await provideImageFiles(layout, id)
  const engine = await createProcessEngine({ layout, dataDir, log: createLog('silent'), accelerator: 'tcg' })
  try {
    const ours: number[] = []
    const bare: number[] = []
    for (let round = 0; round < rounds; round += 1) {
      const times = await once({ layout, engine, image })
      bare.push(times.bare)
      ours.push(times.ours)
    }
    const seconds = (times: number[], pick: (times: number[]) => number) => (pick(times) / 1000).toFixed(1)
    return {
      ratio: median(ours) / median(bare),
      detail:
        `${seconds(ours, median)} s against ${seconds(bare, median)} s; at best ` +
        `${seconds(ours, (times) => Math.min(...times))} s; ${rounds} rounds, no KVM`,
    }
  } finally {
    await engine.close()
    await rm(dataDir, { recursive: true, force: true })
  }
}

const seedOf = (instanceId: string): NonNullable<NodeSpec['seed']> => ({
  instanceId,
  hostName: 'bench',
  user: 'student',
  passwordHash: null,
  sshKeys: [],
})

async function oursOnce(
  engine: NodeEngine,
  image: Image,
  memoryMib: number,
  changes: Partial<NodeSpec> = {},
): Promise<number> {
  const id = nodeIdSchema.parse(randomUUID())
  const spec = specOver({ ...image, virtualSizeBytes: DISK_BYTES }, id, {
    memoryMib,
    directBoot: image.directBoot,
    seed: seedOf(id),
    ...changes,
  })
  await engine.ensureNode(spec, randomUUID()).wait()
  const began = performance.now()
  await engine.start(spec, randomUUID()).wait()
  const target = await engine.console(id, 'serial')
  if (target.via !== 'unix') throw new Error('the console of a process is a unix socket')
  const terminal = await openTerminal(target.path)
  await terminal.waitFor(LOGIN)
  const took = performance.now() - began
  terminal.close()
  await engine.stop(id, { key: randomUUID(), graceMs: 0 }).wait()
  await engine.remove(id, { key: randomUUID(), disks: 'delete' }).wait()
  return took
}

/** What somebody would type who knows QEMU: the same disk, kernel and seed, and nothing else. */
async function bareOnce(layout: Layout, image: Image, memoryMib: number): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'sbx-bare-'))
  const [disk, seed, serial] = ['disk.qcow2', 'seed.iso', 'serial'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ] // three names
  const backing = join(layout.images, image.file)
  const create = ['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', backing, disk, String(DISK_BYTES)]
  await runCommand('qemu-img', create, { timeoutMs: 10_000 })
  await makeSeedIso(seed, seedOf(randomUUID()))
  const { kernel, initrd, commandLine } = image.directBoot ?? { kernel: '', initrd: '', commandLine: '' }
  const began = performance.now()
  const qemu = spawn(
    'qemu-system-x86_64',
    `-M pc -accel tcg -cpu qemu64 -m ${memoryMib} -no-user-config -nodefaults -vga std -display none`
      .split(' ')
      .concat('-drive', `if=virtio,format=qcow2,file=${disk}`)
      .concat('-drive', `if=virtio,format=raw,readonly=on,file=${seed}`)
      .concat('-serial', `unix:${serial},server=on,wait=off`)
      .concat('-kernel', join(layout.images, kernel), '-initrd', join(layout.images, initrd ?? ''))
      .concat('-append', commandLine),
    { stdio: 'ignore' },
  )
  const gone = new Promise((resolve) => qemu.once('exit', resolve))
  try {
    const terminal = await firstTerminal(serial)
    await terminal.waitFor(LOGIN)
    terminal.close()
    return performance.now() - began
  } finally {
    qemu.kill('SIGKILL')
    await gone
    await rm(folder, { recursive: true, force: true })
  }
}

async function firstTerminal(path: string): Promise<GuestTerminal> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await openTerminal(path)
    } catch (error) {
      if (tries > 1000) throw error
      await delay(5)
    }
  }
}
