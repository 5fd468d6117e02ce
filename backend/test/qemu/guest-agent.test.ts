import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { spawn, type ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readlink, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openHostKeys } from '../../src/consoles/ssh/host-keys.js'
import { type LabKey, openLabKey } from '../../src/consoles/ssh/lab-key.js'
import { CLOSE } from '../../src/domain/console.js'
import { nodeIdSchema } from '../../src/domain/ids.js'
import { layoutOf, overlayFileName } from '../../src/domain/layout.js'
import type { NodeEngine, NodeSpec } from '../../src/hosts/engine.js'
import type { SnapshotRequest } from '../../src/hosts/engine-disks.js'
import { readLaunchRecord } from '../../src/hosts/launch-record.js'
import { runCommand } from '../../src/system/command.js'
import { hashGuestPassword } from '../../src/system/crypt-password.js'
import { createLog } from '../../src/system/log.js'
import { startConsoleLab } from '../console/console-lab.js'
import { provideImageFiles } from '../support/built-images.js'
import { compileSources, type CompiledSources } from '../support/compiled-backend.js'
import { specOver } from '../support/node-spec.js'
import { untilSeen } from '../support/until.js'
import { openTerminal, type GuestTerminal } from './guest-terminal.js'
import { createProcessLab, pidOf, statusField, type ProcessLab } from './process-lab.js'

jest.setTimeout(600_000)

/** A guest without KVM on a busy machine. */
const GUEST_MS = 180_000
const PASSWORD = 'correct horse'
/** By this much the guest's clock is behind when it goes on from its memory. */
const BEHIND_MS = 10_000
const NEAR_SECONDS = 5

/** One guest for all: Debian with its agent, which writes to its disk without end. */
describe('the agent of a real guest', () => {
  let lab: ProcessLab
  let engine: NodeEngine
  let spec: NodeSpec
  let terminal: GuestTerminal
  let scratch: string
  let compiled: CompiledSources
  let backend: ChildProcess | undefined
  let key: LabKey
  beforeAll(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'sbx-agent-'))
    compiled = await compileSources(['domain', 'system', 'state', 'storage', 'hosts'])
    lab = await createProcessLab()
    const image = await provideImageFiles(lab.layout, 'debian-12')
    expect(image.guestAgent).toBe(true)
    engine = await lab.open()
    const id = nodeIdSchema.parse(randomUUID())
    await mkdir(layoutOf(scratch).state)
    key = await openLabKey(layoutOf(scratch))
    const seed = { instanceId: id, hostName: 'agent', user: 'student', sshKeys: [key.publicKey] }
    spec = specOver(image, id, {
      memoryMib: image.minimumMemoryMib,
      directBoot: image.directBoot,
      agent: true,
      seed: { ...seed, passwordHash: await hashGuestPassword(PASSWORD) },
    })
    await engine.ensureNode(spec, 'make').wait()
    await engine.start(spec, 'start').wait()
    terminal = await serialLine()
    await terminal.signIn('student', PASSWORD)
    await untilAgent()
    await terminal.run('sudo sh -c "while :; do date +%s.%N >>/var/count; sync; done >/dev/null 2>&1 &"')
    await writesOn()
  }, GUEST_MS * 2)
  afterAll(async () => {
    backend?.kill('SIGKILL')
    terminal?.close()
    await lab?.close()
    await compiled?.remove()
    await rm(scratch, { recursive: true, force: true })
  })

  async function serialLine(): Promise<GuestTerminal> {
    const target = await engine.console(spec.id, 'serial')
    if (target.via !== 'unix') throw new Error('a process has unix sockets')
    return openTerminal(target.path)
  }
  const untilAgent = () =>
    untilSeen('an answer of the agent', async () => (await engine.guestAgent(spec.id)) === 'answers', GUEST_MS)
  const written = async () => Number((await terminal.run('wc -l </var/count')).trim())
  /** Nothing is frozen: the guest's disk takes more. */
  const writesOn = async () => {
    const before = await written()
    await untilSeen('more writes', async () => (await written()) > before + 2, GUEST_MS)
  }
  const isDue = async () => (await readLaunchRecord(lab.paths(spec.id).launch))?.agentDue
  const untilCaughtUp = () => untilSeen('that the agent was told', async () => (await isDue()) === false, GUEST_MS)

  function requestOf(changes: Partial<SnapshotRequest>): SnapshotRequest & { layerFile: string } {
    const id = randomUUID()
    const layerFile = `layer_${id}.qcow2`
    const disk = { driveId: 'root', file: overlayFileName(spec.id), layerFile, freshFile: `.fresh_${id}.qcow2` }
    return { key: id, disks: [disk], layerFile, ...changes }
  }
  const inOverlays = (file: string) => `${lab.layout.overlays}/${file}`

  /** What e2fsck finds wrong, and whether the journal would have to be replayed. */
  async function fileSystemOn(layerFile: string): Promise<{ faults: boolean; needsReplay: boolean }> {
    const raw = join(scratch, layerFile)
    const limits = { timeoutMs: 120_000 }
    await runCommand('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', inOverlays(layerFile), raw], limits)
    const { stdout } = await runCommand('dumpe2fs', ['-h', raw], limits)
    const check = await runCommand('e2fsck', ['-f', '-n', raw], limits).then(
      () => false,
      () => true,
    )
    await rm(raw)
    return { faults: check, needsReplay: /^Filesystem features:.*\bneeds_recovery\b/m.test(stdout) }
  }

  /** Consoles of this engine's nodes, with SSH by the lab's key. */
  function startSsh() {
    const layout = layoutOf(scratch)
    return startConsoleLab({}, async () => ({
      engine,
      ssh: {
        key,
        hostKeys: await openHostKeys({ layout, log: createLog('silent'), exists: () => true }),
        accountOf: () => ({ name: 'agent', user: 'student' }),
        timing: { patienceMs: GUEST_MS },
      },
    }))
  }

  it('has a shell over SSH, through its own QEMU and past everything else', async () => {
    const consoles = await startSsh()
    try {
      const client = await consoles.open(consoles.subject('ann'), consoles.addNode({ id: spec.id }), 'ssh')
      const shows = (pattern: RegExp) =>
        untilSeen(String(pattern), async () => pattern.test(client.bytes.toString()), GUEST_MS).catch((error) => {
          throw new Error(client.bytes.toString(), { cause: error })
        })
      client.tell({ type: 'resize', columns: 101, rows: 31 })
      await shows(/\$ $/)
      client.type('stty size; id -un; who am i\r')
      await shows(/31 101\r\nstudent\r\n[^]*10\.0\.2\.2/)
      const pipes = await pipesInto(pidOf(await engine.inspect(spec.id)))
      expect(pipes).toEqual(pipes.map(() => ({ rights: '0000000000000000', isRoot: false })))
      expect(pipes.length).toBeGreaterThan(0)
      // The same port of this machine is nobody's.
      await expect(runCommand('bash', ['-c', '</dev/tcp/127.0.0.1/20022'], { timeoutMs: 5000 })).rejects.toThrow()
      client.type('exit\r')
      expect(await client.closed).toMatchObject({ code: CLOSE.finished })
      await untilSeen('no pipe left', async () => (await pipesInto(pidOf(await engine.inspect(spec.id)))).length === 0)
    } finally {
      await consoles.close()
    }
  })

  it('writes everything out before a snapshot: its file system is clean without its journal, and writes go on', async () => {
    const request = requestOf({ freeze: true })
    const result = await engine.snapshotDisks(spec.id, request)
    expect(result).toMatchObject({ frozen: true, frozenMs: expect.any(Number) })
    await writesOn()
    expect(await isDue()).toBe(false)
    expect(await fileSystemOn(request.layerFile)).toEqual({ faults: false, needsReplay: false })

    // Without the agent it is as after a power cut.
    const torn = requestOf({})
    expect(await engine.snapshotDisks(spec.id, torn)).toMatchObject({ frozen: false, frozenMs: null })
    expect((await fileSystemOn(torn.layerFile)).needsReplay).toBe(true)
  })

  it('is told to thaw by the next backend, when one is killed with the guest frozen', async () => {
    terminal.close()
    await engine.close()
    // While its memory is saved it is frozen, and held: long enough to be hit.
    const { layerFile: _layerFile, ...request } = requestOf({ freeze: true, memoryFile: 'memory_of-a-test.bin' })
    const program = `
      const [{ createProcessEngine }, { layoutOf }, { createLog }] = await Promise.all(
        ['hosts/process-engine.js', 'domain/layout.js', 'system/log.js'].map((name) => import('${compiled.path('')}/' + name)))
      const dataDir = '${lab.dataDir}'
      const engine = await createProcessEngine({ layout: layoutOf(dataDir), dataDir, log: createLog('silent'), accelerator: 'tcg' })
      await engine.probe() // killed during it, the guest of the probe would stay
      await engine.snapshotDisks('${spec.id}', ${JSON.stringify(request)})`
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: 'inherit' })
    backend = child
    const ended = new Promise((resolve) => child.once('exit', resolve))
    const heldAndFrozen = async () => {
      const launch = await readLaunchRecord(lab.paths(spec.id).launch)
      return launch?.held === true && launch.agentDue
    }
    await untilSeen('a guest that is frozen and held', heldAndFrozen, GUEST_MS)
    child.kill('SIGKILL')
    await ended
    expect(await heldAndFrozen()).toBe(true)

    engine = await lab.open()
    terminal = await serialLine()
    await untilCaughtUp()
    await writesOn()
    expect(await engine.guestAgent(spec.id)).toBe('answers')
    await engine.snapshotState(spec.id, request)
  })

  it('goes on from its memory with an SSH session that was open, and has another one', async () => {
    const consoles = await startSsh()
    try {
      const node = consoles.addNode({ id: spec.id })
      const shell = async () => {
        const client = await consoles.open(consoles.subject('ann'), node, 'ssh')
        await untilSeen('a prompt', async () => client.bytes.toString().endsWith('$ '), GUEST_MS)
        return client
      }
      await shell()
      const memoryFile = `memory_${randomUUID()}.bin`
      await engine.suspend(spec.id, { key: randomUUID(), memoryFile }).wait()
      terminal.close()
      spec = { ...spec, generation: spec.generation + 1, backing: { layers: await layersNow(), base: true } }
      await engine.start({ ...spec, resume: { memoryFile } }, randomUUID()).wait()
      terminal = await serialLine()
      await writesOn()
      await shell()
    } finally {
      await consoles.close()
    }
  })

  it('thaws a guest that goes on from its memory, and sets its clock', async () => {
    const memoryFile = `memory_${randomUUID()}.bin`
    const request = requestOf({ freeze: true, memoryFile })
    const backingBefore = await layersNow()
    await engine.snapshotDisks(spec.id, request)
    const takenAt = performance.now()
    await writesOn()
    terminal.close()
    await engine.stop(spec.id, { key: randomUUID(), graceMs: 0 }).wait()
    const [disk] = request.disks
    await rm(inOverlays(disk!.file))
    const create = ['create', '-q', '-f', 'qcow2', '-b', request.layerFile, '-F', 'qcow2', disk!.file]
    await runCommand('qemu-img', create, { cwd: lab.layout.overlays, timeoutMs: 10_000 })
    await untilSeen('that its clock is behind', async () => performance.now() - takenAt > BEHIND_MS, BEHIND_MS * 2)

    const backing = { layers: [request.layerFile, ...backingBefore], base: true }
    const later = { ...spec, generation: spec.generation + 1, backing, resume: { memoryFile } }
    await engine.start(later, randomUUID()).wait()
    terminal = await serialLine()
    await untilCaughtUp()
    await writesOn()
    const clock = Number((await terminal.run('date +%s')).trim())
    expect(Math.abs(clock - Date.now() / 1000)).toBeLessThan(NEAR_SECONDS)
  })

  /** The processes of ours in QEMU's network: what they may. */
  async function pipesInto(qemu: number): Promise<{ rights: string; isRoot: boolean }[]> {
    const network = await readlink(`/proc/${qemu}/ns/net`)
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && name !== String(qemu))
    const found = pids.map(async (pid) => {
      const its = await readlink(`/proc/${pid}/ns/net`).catch(() => '') // it may have ended
      if (its !== network) return []
      const rights = await statusField(Number(pid), 'CapEff').catch(() => '')
      const users = await statusField(Number(pid), 'Uid').catch(() => '')
      return rights === '' ? [] : [{ rights, isRoot: /^0\s/.test(users) }]
    })
    return (await Promise.all(found)).flat()
  }

  /** What the disk stands on now, nearest first. */
  async function layersNow(): Promise<string[]> {
    const about = ['info', '--output=json', '--force-share', '--backing-chain', inOverlays(overlayFileName(spec.id))]
    const { stdout } = await runCommand('qemu-img', about, { timeoutMs: 10_000 })
    const chain = JSON.parse(stdout) as { filename: string }[] // qemu-img's own words
    return chain.map(({ filename }) => filename.split('/').at(-1) ?? '').filter((name) => name.startsWith('layer_'))
  }
})
