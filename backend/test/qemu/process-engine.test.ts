import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { NodeId } from '../../src/domain/ids.js'
import { imageFile, overlayFile } from '../../src/domain/layout.js'
import type { EngineNode, NodeEngine, NodeSpec } from '../../src/hosts/engine.js'
import { NODE_UIDS, workerIdentity } from '../../src/system/identity.js'
import { startFakeGuestAgent, type FakeGuestAgent } from '../support/fake-guest-agent.js'
import { POWER_OFF, READY } from '../support/tiny-guest.js'
import { nextEnd, stopNow, typeOnSerial } from './engine-actions.js'
import { describeEngine, eventually } from './engine-contract.js'
import { createProcessLab, pidOf, qemusIn, statusField, type ProcessLab } from './process-lab.js'

jest.setTimeout(120_000)

describeEngine('QEMU processes', async () => {
  const lab = await createProcessLab()
  const engine = await lab.open()
  const started = new Map<NodeId, Set<number>>()
  const agents = new Map<NodeId, FakeGuestAgent>()
  const pid = async (id: NodeId) => pidOf(await engine.inspect(id))
  return {
    // Every process that a start gives is noted: 50 racing starts must all name one.
    engine: {
      ...engine,
      start(spec, key) {
        const job = engine.start(spec, key)
        return {
          ...job,
          get state() {
            return job.state
          },
          async wait(options) {
            const node = await job.wait(options)
            started.set(spec.id, (started.get(spec.id) ?? new Set()).add(pidOf(node)))
            return node
          },
        }
      },
    },
    newSpec: async () => lab.newSpec(),
    greeting: READY,
    startsOf: (id) => started.get(id)?.size ?? 0,
    powerOff: (id) => typeOnSerial(engine, id, POWER_OFF),
    ignorePowerButton: () => undefined, // it always does
    // The tiny guest has none: another one answers in the place of QEMU's socket.
    startAgent: async (id) => void agents.set(id, await startFakeGuestAgent(lab.paths(id).agent)),
    isGuestFrozen: (id) => agents.get(id)?.isFrozen() ?? false,
    kill: async (id) => void process.kill(await pid(id), 'SIGKILL'),
    silence: async (id) => void process.kill(await pid(id), 'SIGSTOP'),
    wake: async (id) => void process.kill(await pid(id), 'SIGCONT'),
    async close() {
      for (const agent of agents.values()) await agent.close()
      await lab.close()
    },
  }
})

describe('a QEMU process', () => {
  let lab: ProcessLab
  let engine: NodeEngine
  beforeAll(async () => {
    lab = await createProcessLab()
    engine = await lab.open()
  })
  afterAll(() => lab.close())

  it('is confined: no rights, no new rights, system calls filtered, first to go when memory runs out', async () => {
    const node = await startNew(engine, lab)
    const pid = pidOf(node)
    expect(await statusField(pid, 'CapEff')).toMatch(/^0+$/)
    expect(await statusField(pid, 'NoNewPrivs')).toBe('1')
    expect(await statusField(pid, 'Seccomp')).toBe('2')
    expect((await readFile(`/proc/${pid}/oom_score_adj`, 'utf8')).trim()).toBe('900')
    const uid = String(workerIdentity() ? (await stat(overlayFile(lab.layout, node.id))).uid : process.getuid?.())
    expect((await statusField(pid, 'Uid')).split('\t')).toEqual([uid, uid, uid, uid])
    await stopNow(engine, node.id)
  })

  it('keeps its sockets where only the backend reaches them, and its record where QEMU does not', async () => {
    const node = await startNew(engine, lab)
    const paths = lab.paths(node.id)
    expect((await stat(paths.io)).mode & 0o777).toBe(0o700)
    expect((await stat(paths.launch)).mode & 0o777).toBe(0o600)
    if (workerIdentity()) {
      const user = (await stat(overlayFile(lab.layout, node.id))).uid
      expect(user).toBeGreaterThanOrEqual(NODE_UIDS.first)
      expect((await stat(paths.io)).uid).toBe(user)
      expect((await stat(paths.dir)).uid).not.toBe(user)
    }
    expect((await readFile(paths.pid, 'utf8')).trim()).toBe(String(node.pid))
    await stopNow(engine, node.id)
    expect((await readdir(paths.dir)).toSorted()).toEqual(['io', 'launch.json', 'qemu.log'])
    expect((await readdir(paths.io)).toSorted()).toEqual(['serial.log'])
  })

  it("has no text of a person in its arguments, and QEMU's files only by relative paths", async () => {
    const node = await startNew(engine, lab, { name: 'web,accel=kvm' })
    const args = (await readFile(`/proc/${pidOf(node)}/cmdline`, 'utf8')).split('\0')
    expect(args.filter((arg) => arg.includes('web'))).toEqual([])
    expect(args.filter((arg) => arg.includes(lab.dataDir))).toEqual([])
    await stopNow(engine, node.id)
  })

  it('is refused the disk that another process holds, and says so', async () => {
    const spec = lab.newSpec()
    await engine.ensureNode(spec, 'make').wait()
    const holder = spawn('qemu-io', ['-f', 'qcow2', overlayFile(lab.layout, spec.id)], {
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    holder.stdin.write('read 0 512\n')
    await new Promise((resolve) => holder.stdout.once('data', resolve))
    await expect(engine.start(spec, 'start').wait()).rejects.toMatchObject({
      code: 'locked',
      message: expect.stringContaining('Failed to get'),
    })
    holder.stdin.end('quit\n')
    await new Promise((resolve) => holder.once('exit', resolve))
    expect((await engine.start(spec, 'start').wait()).phase).toBe('running')
    await stopNow(engine, spec.id)
  })

  it.each([
    ['the overlay is missing', async (spec: NodeSpec) => rm(overlayFile(lab.layout, spec.id)), /is missing/],
    [
      'the overlay is a folder',
      async (spec: NodeSpec) => {
        await rm(overlayFile(lab.layout, spec.id))
        await mkdir(overlayFile(lab.layout, spec.id))
      },
      /is a folder/,
    ],
    [
      'the overlay is not an image',
      async (spec: NodeSpec) => writeFile(overlayFile(lab.layout, spec.id), 'hello'),
      /damaged/,
    ],
  ])('is not started when %s; QEMU never sees it', async (_, damage, reason) => {
    const spec = lab.newSpec()
    await engine.ensureNode(spec, 'make').wait()
    await damage(spec)
    const before = qemusIn(lab.dataDir)
    await expect(engine.start(spec, 'start').wait()).rejects.toMatchObject({
      code: 'broken',
      message: expect.stringMatching(reason),
    })
    expect(qemusIn(lab.dataDir)).toEqual(before)
    await expect(stat(lab.paths(spec.id).dir)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it('is not started when the base image was touched after the node was made', async () => {
    const spec = lab.newSpec()
    await engine.ensureNode(spec, 'make').wait()
    const base = imageFile(lab.layout, lab.image.file)
    const { atimeMs, mtimeMs } = await stat(base)
    await utimes(base, atimeMs / 1000, mtimeMs / 1000 + 5)
    await expect(engine.start(spec, 'start').wait()).rejects.toMatchObject({
      code: 'broken',
      message: expect.stringContaining('changed'),
    })
    await utimes(base, atimeMs / 1000, mtimeMs / 1000)
    expect((await engine.start(spec, 'start').wait()).phase).toBe('running')
    await stopNow(engine, spec.id)
  })

  it('boots with UEFI, with variables of its own', async () => {
    const node = await startNew(engine, lab, { firmware: 'uefi', memoryMib: 128 })
    const variables = overlayFile(lab.layout, node.id).replace('.qcow2', '.efivars.fd')
    expect((await stat(variables)).size).toBeGreaterThan(100_000)
    expect(node.phase).toBe('running')
    await stopNow(engine, node.id)
  })

  it('shows QEMU’s own words when it does not start', async () => {
    const spec = lab.newSpec({ directBoot: { kernel: 'not-a-kernel', initrd: null, commandLine: 'quiet' } })
    await engine.ensureNode(spec, 'make').wait()
    await expect(engine.start(spec, 'start').wait()).rejects.toMatchObject({ code: 'broken' })
    await writeFile(imageFile(lab.layout, 'not-a-kernel'), 'x'.repeat(10_000), { mode: 0o444 })
    await expect(engine.start(spec, 'start').wait()).rejects.toMatchObject({
      code: 'engine',
      message: expect.stringMatching(/last lines:\n.*qemu/),
    })
    expect(await engine.inspect(spec.id)).toMatchObject({ phase: 'failed', ended: null })
  })
})

describe('after the backend was gone', () => {
  let lab: ProcessLab
  let engine: NodeEngine
  beforeAll(async () => {
    lab = await createProcessLab()
  })
  afterEach(async () => {
    for (const node of await engine.list()) await stopNow(engine, node.id).catch(() => undefined)
    await engine.close()
  })
  afterAll(() => lab.close())

  it('the same processes are found again, watched and stopped', async () => {
    engine = await lab.open()
    const nodes = [await startNew(engine, lab, { generation: 7 }), await startNew(engine, lab)]
    await engine.close()
    engine = await lab.open()
    const found = await engine.list()
    expect(byId(found).map(essence)).toEqual(byId(nodes).map(essence))
    const told = nextEnd(engine, nodes[0]!.id)
    const began = performance.now()
    process.kill(pidOf(nodes[0]!), 'SIGKILL')
    expect(await told).toMatchObject({ phase: 'failed', ended: { how: 'crashed' } })
    expect(performance.now() - began).toBeLessThan(5000)
    const second = nodes[1]!.id
    await typeOnSerial(engine, second, POWER_OFF)
    expect(await nextEnd(engine, second)).toMatchObject({ phase: 'stopped', ended: { how: 'guest' } })
  })

  it('an end in between is told as what can be known of it', async () => {
    engine = await lab.open()
    const [crashed, rebooted] = [await startNew(engine, lab), await startNew(engine, lab)]
    await engine.close()
    for (const node of [crashed, rebooted]) process.kill(pidOf(node), 'SIGKILL')
    await eventually(() => qemusIn(lab.dataDir).length === 0, 'the end of both')
    await changeLaunch(lab, rebooted.id, { bootId: 'another boot' })
    engine = await lab.open()
    expect(await engine.inspect(crashed.id)).toMatchObject({ phase: 'failed', ended: { how: 'crashed' }, pid: null })
    expect((await engine.inspect(rebooted.id)).reason).toMatch(/host was restarted/)
    // The next backend is told the same, with the same time.
    const before = await engine.inspect(crashed.id)
    await engine.close()
    engine = await lab.open()
    expect(await engine.inspect(crashed.id)).toEqual(before)
  })

  it('a stop that was asked for is no crash', async () => {
    engine = await lab.open()
    const node = await startNew(engine, lab)
    const job = engine.stop(node.id, { key: 'patient', graceMs: 60_000 })
    await eventually(
      async () => (await readFile(lab.paths(node.id).launch, 'utf8')).includes('"stopAsked":true'),
      'note',
    )
    await engine.close()
    await expect(job.wait()).rejects.toMatchObject({ code: 'lost' })
    process.kill(pidOf(node), 'SIGKILL')
    await eventually(() => qemusIn(lab.dataDir).length === 0, 'its end')
    engine = await lab.open()
    expect(await engine.inspect(node.id)).toMatchObject({ phase: 'stopped', ended: { how: 'asked' } })
  })

  it('a process that does not answer is unknown, is not ended, and is ours again when it speaks', async () => {
    engine = await lab.open()
    const node = await startNew(engine, lab)
    await engine.close()
    process.kill(pidOf(node), 'SIGSTOP')
    engine = await lab.open()
    expect(await engine.inspect(node.id)).toMatchObject({ phase: 'unknown', pid: node.pid })
    await expect(stopNow(engine, node.id)).rejects.toMatchObject({ code: 'host-unknown' })
    expect(qemusIn(lab.dataDir)).toEqual([node.pid])
    process.kill(pidOf(node), 'SIGCONT')
    await eventually(async () => (await engine.inspect(node.id)).phase === 'running', 'it speaks')
    expect((await engine.inspect(node.id)).pid).toBe(node.pid)
  })

  it('a foreign process that has got the pid is never touched', async () => {
    engine = await lab.open()
    const node = await startNew(engine, lab)
    await engine.close()
    process.kill(pidOf(node), 'SIGKILL')
    await eventually(() => qemusIn(lab.dataDir).length === 0, 'its end')
    const foreign = spawn('sleep', ['600'], { stdio: 'ignore' })
    const launch = await readLaunch(lab, node.id)
    await changeLaunch(lab, node.id, { process: { ...launch.process, pid: foreign.pid } })
    engine = await lab.open()
    expect(await engine.inspect(node.id)).toMatchObject({ phase: 'failed', ended: { how: 'crashed' }, pid: null })
    await stopNow(engine, node.id)
    expect(foreign.exitCode).toBeNull()
    expect(foreign.signalCode).toBeNull()
    foreign.kill()
  })

  it('another machine at the place of a node is reported and left alone', async () => {
    engine = await lab.open()
    const node = await startNew(engine, lab)
    await engine.close()
    await changeLaunch(lab, node.id, { generation: 99 }) // the record of a later start, the process of an earlier one
    engine = await lab.open()
    const found = await engine.inspect(node.id)
    expect(found.phase).toBe('unknown')
    expect(found.reason).toMatch(/Another machine answers/)
    await expect(stopNow(engine, node.id)).rejects.toMatchObject({ code: 'host-unknown' })
    expect(qemusIn(lab.dataDir)).toEqual([node.pid])
    await changeLaunch(lab, node.id, { generation: 1 })
    await engine.close()
    engine = await lab.open()
    expect((await engine.inspect(node.id)).phase).toBe('running')
  })

  it('a start that was cut short before its record is finished: the process is found by its arguments', async () => {
    engine = await lab.open()
    const node = await startNew(engine, lab)
    await engine.close()
    await changeLaunch(lab, node.id, { process: null })
    engine = await lab.open()
    expect(await engine.inspect(node.id)).toMatchObject({ phase: 'running', pid: node.pid })
  })

  it('left-over folders without a process go, one with an unknown QEMU stays', async () => {
    engine = await lab.open()
    const node = await startNew(engine, lab)
    await engine.close()
    const launch = await readFile(lab.paths(node.id).launch, 'utf8')
    await writeFile(lab.paths(node.id).launch, '{')
    const empty = lab.paths(lab.newSpec().id)
    await mkdir(empty.io, { recursive: true })
    engine = await lab.open()
    await expect(stat(empty.dir)).rejects.toMatchObject({ code: 'ENOENT' })
    expect(qemusIn(lab.dataDir)).toEqual([node.pid])
    expect((await engine.inspect(node.id)).phase).toBe('stopped') // as far as it can know
    const spec = lab.newSpec({ id: node.id })
    const sameDisk = { ...spec, disks: [{ ...spec.disks[0]!, file: `node_${node.id}.qcow2` }] }
    await expect(engine.start(sameDisk, 'again').wait()).rejects.toMatchObject({ code: 'locked' })
    expect(qemusIn(lab.dataDir)).toEqual([node.pid])
    await engine.close()
    await writeFile(lab.paths(node.id).launch, launch)
    engine = await lab.open()
    expect((await engine.inspect(node.id)).pid).toBe(node.pid)
  })
})

describe('a data folder', () => {
  it('may lie below a folder that the worker can not enter, which stays closed', async () => {
    const closed = await mkdtemp(join(tmpdir(), 'sbx-closed-'))
    const dataDir = join(closed, 'data')
    await mkdir(dataDir, { mode: 0o700 })
    const lab = await createProcessLab({ dataDir })
    try {
      const engine = await lab.open()
      expect((await startNew(engine, lab)).phase).toBe('running')
      expect((await stat(closed)).mode & 0o777).toBe(0o700)
    } finally {
      await lab.close()
      await rm(closed, { recursive: true })
    }
  })

  it('with too long a path is refused with the reason, not with a socket error', async () => {
    const lab = await createProcessLab()
    try {
      const deep = `${lab.dataDir}/${'x'.repeat(90)}`
      await expect(lab.open({ layout: { ...lab.layout, run: deep } })).rejects.toMatchObject({ code: 'unsupported' })
    } finally {
      await lab.close()
    }
  })
})

async function startNew(engine: NodeEngine, lab: ProcessLab, changes: Partial<NodeSpec> = {}): Promise<EngineNode> {
  const spec = lab.newSpec(changes)
  await engine.ensureNode(spec, 'make').wait()
  return engine.start(spec, 'start').wait()
}

const byId = (nodes: EngineNode[]) => nodes.toSorted((a, b) => a.id.localeCompare(b.id))
const essence = ({ id, phase, pid, generation, startedAt, accelerator }: EngineNode) =>
  ({ id, phase, pid, generation, startedAt, accelerator }) satisfies Partial<EngineNode>

async function readLaunch(lab: ProcessLab, id: NodeId) {
  return JSON.parse(await readFile(lab.paths(id).launch, 'utf8')) as { process: { pid: number } }
}

async function changeLaunch(lab: ProcessLab, id: NodeId, changes: object): Promise<void> {
  await writeFile(lab.paths(id).launch, JSON.stringify({ ...(await readLaunch(lab, id)), ...changes }))
}
