import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { nodeIdSchema } from '../src/domain/ids.js'
import { layoutOf, overlayFile } from '../src/domain/layout.js'
import type { NodeEngine, NodeSpec } from '../src/hosts/engine.js'
import { readLaunchRecord } from '../src/hosts/launch-record.js'
import { createProcessEngine } from '../src/hosts/process-engine.js'
import { makeRunDir, removeRunDir } from '../src/hosts/run-dir.js'
import { runPathsOf, type RunPaths } from '../src/hosts/run-paths.js'
import { workerIdentity, type Identity } from '../src/system/identity.js'
import { createLog } from '../src/system/log.js'
import { specOver } from '../test/support/node-spec.js'
import { makeTinyImage } from '../test/support/tiny-guest.js'
import { median, type Bench } from './bench.js'

const ROUNDS = 25

export const benches: Bench[] = [
  { name: 'start: a node until QMP answers, against the bare QEMU command line', goal: 1.5, run: () => starts(false) },
  { name: 'start: the same with a seed for the guest', goal: 2.5, run: () => starts(true) },
]

async function starts(withSeed: boolean): Promise<{ ratio: number; detail: string }> {
  const dataDir = await mkdtemp(join(tmpdir(), 'sbx-bench-'))
  const layout = layoutOf(dataDir)
  await mkdir(layout.overlays, { recursive: true })
  const image = await makeTinyImage(layout)
  const engine = await createProcessEngine({ layout, dataDir, log: createLog('silent'), accelerator: 'tcg' })
  try {
    const id = nodeIdSchema.parse(randomUUID())
    const spec = specOver(image, id, { memoryMib: 256, ...(withSeed ? { seed: seedOf(id) } : {}) })
    const paths = runPathsOf(layout, id)
    await engine.ensureNode(spec, 'make').wait()
    await oursOnce(engine, spec) // warms the caches, and leaves the arguments to copy
    const args = (await readLaunchRecord(paths.launch))?.args ?? []
    const { uid } = await stat(overlayFile(layout, id)) // a user of its own, when we are root
    const user = workerIdentity() ? { uid, gid: uid } : undefined
    const ours: number[] = []
    const bare: number[] = []
    for (let round = 0; round < ROUNDS; round += 1) {
      bare.push(await bareOnce(dataDir, paths, spec, args, user))
      ours.push(await oursOnce(engine, spec))
    }
    const [oursMs, bareMs] = [median(ours), median(bare)]
    return {
      ratio: oursMs / bareMs,
      detail: `${oursMs.toFixed(1)} ms against ${bareMs.toFixed(1)} ms, ${ROUNDS} rounds`,
    }
  } finally {
    await engine.close()
    await rm(dataDir, { recursive: true, force: true })
  }
}

function seedOf(instanceId: string): NodeSpec['seed'] {
  return { instanceId, hostName: 'bench', user: 'student', passwordHash: null, sshKeys: [] }
}

async function oursOnce(engine: NodeEngine, spec: NodeSpec): Promise<number> {
  const began = performance.now()
  await engine.start(spec, randomUUID()).wait()
  const took = performance.now() - began
  await engine.stop(spec.id, { key: randomUUID(), graceMs: 0 }).wait()
  return took
}

/** The same arguments, user and folder, and nothing else: no look at the disk, no record, no held guest (`-S`). */
async function bareOnce(
  dataDir: string,
  paths: RunPaths,
  spec: NodeSpec,
  args: string[],
  identity: Identity | undefined,
): Promise<number> {
  await makeRunDir(paths, spec.seed, identity)
  const began = performance.now()
  const qemu = spawn(
    'qemu-system-x86_64',
    args.filter((arg) => arg !== '-S'),
    { cwd: dataDir, stdio: 'ignore', ...identity },
  )
  const gone = new Promise((resolve) => qemu.once('exit', resolve))
  await answered(paths.qmp)
  const took = performance.now() - began
  qemu.kill('SIGKILL')
  await gone
  await removeRunDir(paths)
  return took
}

async function answered(path: string): Promise<void> {
  for (;;) {
    if (await tryQmp(path)) return
    await delay(1)
  }
}

function tryQmp(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    let heard = ''
    socket.on('data', (chunk: Buffer) => {
      heard += chunk.toString('latin1')
      if (!heard.includes('"running"')) return
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
    socket.once('connect', () => socket.write('{"execute":"qmp_capabilities"}{"execute":"query-status"}'))
  })
}
