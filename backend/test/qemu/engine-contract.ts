import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { createHash, randomUUID } from 'node:crypto'
import { readdir, readFile, rm, stat } from 'node:fs/promises'
import { connect } from 'node:net'
import { dirname, isAbsolute } from 'node:path'
import type { Duplex } from 'node:stream'
import type { NodeId } from '../../src/domain/ids.js'
import type { EngineNode, NodeEngine, NodeSpec, StopResult } from '../../src/hosts/engine.js'
import type { SnapshotRequest } from '../../src/hosts/engine-disks.js'
import { readQcow2Header } from '../../src/system/qcow2.js'

/** An engine, and the means to do to its nodes what no engine offers. */
export interface EngineUnderTest {
  engine: NodeEngine
  /** A node that nobody knows yet, over an image whose guest echoes on the serial line. */
  newSpec(): Promise<NodeSpec>
  /** What the guest prints when it is up. */
  greeting: string
  /** How often machines of this node were really started. */
  startsOf(id: NodeId): number
  /** The guest switches itself off. */
  powerOff(id: NodeId): Promise<void>
  /** The guest takes no notice of its power button. */
  ignorePowerButton(id: NodeId): void
  /** From now on an agent answers at the port of this machine. */
  startAgent(id: NodeId): Promise<void>
  isGuestFrozen(id: NodeId): boolean
  /** The machine is gone at once. */
  kill(id: NodeId): Promise<void>
  /** The machine is there and says nothing, until `wake`. */
  silence(id: NodeId): Promise<void>
  wake(id: NodeId): Promise<void>
  close(): Promise<void>
}

const NOTICED_WITHIN_MS = 2000
/** A guest whose agent is silent is waited for that long, on a busy machine. */
const NO_AGENT_WITHIN_MS = 15_000

/** What every engine promises (src/hosts/engine.ts). Run for each of them. */
export function describeEngine(name: string, make: () => Promise<EngineUnderTest>): void {
  describe(`the engine contract: ${name}`, () => {
    let lab: EngineUnderTest
    let keys = 0
    const key = () => `key-${(keys += 1)}`
    beforeAll(async () => {
      lab = await make()
    })
    afterAll(async () => {
      for (const node of await lab.engine.list()) {
        if (node.phase === 'running' || node.phase === 'paused') await stop(node.id, 0).catch(() => undefined)
      }
      await lab.close()
    })

    const stop = (id: NodeId, graceMs: number) => lab.engine.stop(id, { key: key(), graceMs }).wait()
    const ensured = async (): Promise<NodeSpec> => {
      const spec = await lab.newSpec()
      await lab.engine.ensureNode(spec, key()).wait()
      return spec
    }
    const running = async (): Promise<NodeSpec> => {
      const spec = await ensured()
      await lab.engine.start(spec, key()).wait()
      return spec
    }
    const phaseOf = async (id: NodeId) => (await lab.engine.inspect(id)).phase
    /** The next change of a node that fits, and how long it took to be told. */
    const nextChange = (id: NodeId, fits: (node: EngineNode) => boolean) => {
      const began = performance.now()
      return new Promise<{ node: EngineNode; ms: number }>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error('no such change was told in 20 s')), 20_000)
        const unsubscribe = lab.engine.onChange((node) => {
          if (node.id !== id || !fits(node)) return
          clearTimeout(timer)
          unsubscribe()
          resolve({ node, ms: performance.now() - began })
        })
      })
    }

    it('says what it can do and what its hosts have', async () => {
      const report = await lab.engine.probe()
      expect(report).toMatchObject({ ok: true, version: expect.stringMatching(/\S/) })
      expect(report.accelerator.reason).toMatch(/\S/)
      expect(report.hosts.length).toBeGreaterThan(0)
      for (const host of report.hosts) {
        expect(host.up).toBe(true)
        expect(host.cpus).toBeGreaterThan(0)
        expect(host.freeMemoryMib).toBeGreaterThan(0)
        expect(host.memoryMib).toBeGreaterThanOrEqual(host.freeMemoryMib)
      }
      expect(Object.keys(lab.engine.capabilities).toSorted()).toEqual(
        [
          'adoption',
          'exclusiveDisk',
          'guestAgent',
          'hotplug',
          'liveMove',
          'liveSnapshot',
          'multiHost',
          'suspend',
          'thinClone',
        ].toSorted(),
      )
    })

    it('makes a disk once, however often it is asked, and does not start', async () => {
      const spec = await lab.newSpec()
      expect(await phaseOf(spec.id)).toBe('absent')
      const job = lab.engine.ensureNode(spec, 'once')
      expect(lab.engine.ensureNode(spec, 'once')).toBe(job)
      await job.wait()
      expect(job.state).toBe('succeeded')
      expect((await lab.engine.ensureNode(spec, 'another').wait()).phase).toBe('stopped')
      expect(await phaseOf(spec.id)).toBe('stopped')
      expect(lab.startsOf(spec.id)).toBe(0)
    })

    it('starts a node, whose guest runs and answers on its serial line', async () => {
      const spec = await ensured()
      const node = await lab.engine.start(spec, key()).wait()
      expect(node).toMatchObject({ id: spec.id, phase: 'running', generation: spec.generation, ended: null })
      expect(node.accelerator).toMatch(/^(kvm|tcg)$/)
      expect(Date.parse(node.startedAt ?? '')).not.toBeNaN()
      expect((await lab.engine.list()).filter((one) => one.id === spec.id)).toEqual([node])
      await untilLogHas(spec.id, lab.greeting)
      const line = await openSerial(spec.id)
      line.stream.write('over and out')
      await line.until('over and out')
      line.stream.destroy()
      await untilLogHas(spec.id, 'over and out')
      await stop(spec.id, 0)
    })

    it('makes one machine of 50 racing starts, with one key and with fifty', async () => {
      const spec = await ensured()
      const racing = Array.from({ length: 50 }, (_, n) => lab.engine.start(spec, n % 2 ? 'same' : `own-${n}`).wait())
      const nodes = await Promise.all(racing)
      expect(new Set(nodes.map((node) => node.startedAt)).size).toBe(1)
      expect(lab.startsOf(spec.id)).toBe(1)
      const again = await lab.engine.start(spec, key()).wait()
      expect(again.startedAt).toBe(nodes[0]?.startedAt)
      expect(lab.startsOf(spec.id)).toBe(1)
      await stop(spec.id, 0)
    })

    it('goes down the ladder when the guest takes no notice, and says which rung it took', async () => {
      const spec = await running()
      lab.ignorePowerButton(spec.id)
      const told = nextChange(spec.id, (node) => node.ended !== null)
      const result = await stop(spec.id, 300)
      expect(result.how).toBe('quit')
      expect(result.node).toMatchObject({ phase: 'stopped', ended: { how: 'forced' }, pid: null })
      expect((await told).node.ended?.how).toBe('forced')
      expect(await phaseOf(spec.id)).toBe('stopped')
      expect((await stop(spec.id, 300)).how).toBe('already-stopped')
    })

    it('lets an impatient stop shorten a patient one; both hear the same', async () => {
      const spec = await running()
      lab.ignorePowerButton(spec.id)
      const patient = stop(spec.id, 60_000)
      const began = performance.now()
      const results: StopResult[] = await Promise.all([patient, stop(spec.id, 0)])
      expect(performance.now() - began).toBeLessThan(10_000)
      expect(results[0]).toEqual(results[1])
      expect(results[0]?.how).toBe('quit')
    })

    it('refuses to start what is being stopped, and to remove what runs', async () => {
      const spec = await running()
      lab.ignorePowerButton(spec.id)
      await expect(lab.engine.remove(spec.id, { key: key(), disks: 'keep' }).wait()).rejects.toMatchObject({
        code: 'conflict',
      })
      const stopping = stop(spec.id, 500)
      await expect(lab.engine.start(spec, key()).wait()).rejects.toMatchObject({ code: 'conflict' })
      await stopping
    })

    it('tells when the guest has switched itself off', async () => {
      const spec = await running()
      await untilLogHas(spec.id, lab.greeting)
      const told = nextChange(spec.id, (node) => node.ended !== null)
      await lab.powerOff(spec.id)
      expect((await told).node).toMatchObject({ phase: 'stopped', ended: { how: 'guest' } })
      expect((await told).node.reason).toMatch(/power/)
    })

    it('tells within 2 s when the machine is gone, why, and keeps its serial output', async () => {
      const spec = await running()
      await untilLogHas(spec.id, lab.greeting)
      const told = nextChange(spec.id, (node) => node.ended !== null)
      await lab.kill(spec.id)
      const { node, ms } = await told
      expect(ms).toBeLessThan(NOTICED_WITHIN_MS)
      expect(node).toMatchObject({ phase: 'failed', ended: { how: 'crashed' }, pid: null })
      expect(node.reason).toMatch(/SIGKILL|killed/)
      await untilLogHas(spec.id, lab.greeting)
      await expect(lab.engine.console(spec.id, 'serial')).rejects.toMatchObject({ code: 'not-found' })
      expect((await lab.engine.start({ ...spec, generation: 2 }, key()).wait()).phase).toBe('running')
      await stop(spec.id, 0)
    })

    it('calls a silent node unknown, does nothing to it, and knows it again when it speaks', async () => {
      const spec = await running()
      const before = await lab.engine.inspect(spec.id)
      const fellSilent = nextChange(spec.id, (node) => node.phase === 'unknown')
      await lab.silence(spec.id)
      expect((await fellSilent).node.reason).toMatch(/answer/)
      for (const refused of [
        () => stop(spec.id, 0),
        () => lab.engine.start(spec, key()).wait(),
        () => lab.engine.restart(spec.id, { key: key() }).wait(),
        () => lab.engine.remove(spec.id, { key: key(), disks: 'delete' }).wait(),
      ]) {
        await expect(refused()).rejects.toMatchObject({ code: 'host-unknown', retry: true })
      }
      expect((await lab.engine.list()).find((node) => node.id === spec.id)?.phase).toBe('unknown')
      const speaks = nextChange(spec.id, (node) => node.phase === 'running')
      await lab.wake(spec.id)
      expect((await speaks).node).toMatchObject({ pid: before.pid, startedAt: before.startedAt })
      await stop(spec.id, 0)
    })

    it('presses the reset button: the same machine boots again', async () => {
      const spec = await running()
      await untilLogHas(spec.id, lab.greeting)
      const before = await lab.engine.inspect(spec.id)
      const length = (await lab.engine.serialTail(spec.id, 100_000)).length
      const node = await lab.engine.restart(spec.id, { key: key() }).wait()
      expect(node).toMatchObject({ phase: 'running', startedAt: before.startedAt, pid: before.pid })
      await eventually(
        async () => (await lab.engine.serialTail(spec.id, 100_000)).length > length,
        'output after reset',
      )
      expect(await lab.engine.resume(spec.id, { key: key() }).wait()).toMatchObject({ phase: 'running' })
      await stop(spec.id, 0)
    })

    it('takes keys by their names and shows the screen as a picture', async () => {
      const spec = await running()
      await lab.engine.sendKeys(spec.id, ['ctrl', 'alt', 'f2'])
      await expect(lab.engine.sendKeys(spec.id, ['a', 'quit; rm'])).rejects.toMatchObject({ code: 'unsupported' })
      const picture = await lab.engine.screenshot(spec.id)
      expect(picture.subarray(1, 4).toString('latin1')).toBe('PNG')
      await stop(spec.id, 0)
      await expect(lab.engine.sendKeys(spec.id, ['a'])).rejects.toMatchObject({ code: 'not-found' })
      await expect(lab.engine.screenshot(spec.id)).rejects.toMatchObject({ code: 'not-found' })
    })

    it('offers a screen that speaks RFB', async () => {
      const spec = await running()
      const target = await lab.engine.console(spec.id, 'screen')
      expect(target.protocol).toBe('vnc')
      const screen = await openTarget(target)
      await screen.until('RFB 003.008\n')
      screen.stream.write('RFB 003.008\n')
      await screen.until('\u0001\u0001') // one way to sign in: none
      screen.stream.destroy()
      await stop(spec.id, 0)
    })

    it('forgets a node and keeps its disk, unless told to throw it away', async () => {
      const spec = await ensured()
      await lab.engine.remove(spec.id, { key: key(), disks: 'keep' }).wait()
      expect(await phaseOf(spec.id)).toBe('stopped')
      await lab.engine.remove(spec.id, { key: key(), disks: 'delete' }).wait()
      expect(await phaseOf(spec.id)).toBe('absent')
      await lab.engine.remove(spec.id, { key: key(), disks: 'delete' }).wait()
      await lab.engine.ensureNode(spec, key()).wait()
      expect(await phaseOf(spec.id)).toBe('stopped')
    })

    it('freezes the disk of a running node, once at a time, and gives it back', async () => {
      const spec = await running()
      const freeze = (name: string) => lab.engine.freezeDisk(spec.id, { key: name })
      if (!lab.engine.capabilities.liveSnapshot) {
        await expect(freeze('a')).rejects.toMatchObject({ code: 'unsupported' })
        return
      }
      const [frozen, again] = await Promise.all([freeze('a'), freeze('a')])
      expect(again).toBe(frozen)
      expect(isAbsolute(frozen.frozenFile)).toBe(true)
      const before = await digest(frozen.frozenFile)
      expect(await phaseOf(spec.id)).toBe('running')
      await expect(freeze('b')).rejects.toMatchObject({ code: 'conflict', retry: true })
      expect(await digest(frozen.frozenFile)).toBe(before)
      await Promise.all([frozen.release(), frozen.release()])
      await frozen.release()
      expect(await phaseOf(spec.id)).toBe('running')

      const second = await freeze('b')
      await stop(spec.id, 0)
      await expect(lab.engine.start(spec, key()).wait()).rejects.toMatchObject({ code: 'conflict', retry: true })
      await expect(lab.engine.remove(spec.id, { key: key(), disks: 'delete' }).wait()).rejects.toMatchObject({
        code: 'conflict',
      })
      expect(await phaseOf(spec.id)).toBe('stopped')
      await second.release()
      expect((await lab.engine.start(spec, key()).wait()).phase).toBe('running')
      await stop(spec.id, 0)
      await expect(freeze('c')).rejects.toMatchObject({ code: 'not-found' })
    })

    it('takes a snapshot that stays, says how far it came, and merges it down again', async () => {
      const spec = await running()
      const root = spec.disks[0]!
      const disks = [{ driveId: 'root', file: root.file, ...namesOfSnapshot() }]
      const take = (changes: Partial<SnapshotRequest> = {}) =>
        lab.engine.snapshotDisks(spec.id, { key: 'snap', disks, ...changes })
      if (!lab.engine.capabilities.liveSnapshot) {
        await expect(take()).rejects.toMatchObject({ code: 'unsupported' })
        return
      }
      expect(await lab.engine.snapshotState(spec.id, { key: 'snap', disks })).toBe('none')
      const frozen = await lab.engine.freezeDisk(spec.id, { key: 'copy' })
      await expect(take()).rejects.toMatchObject({ code: 'conflict', retry: true })
      expect(await lab.engine.snapshotState(spec.id, { key: 'snap', disks })).toBe('none')
      await frozen.release()
      const folder = dirname(frozen.frozenFile)
      const before = (await stat(frozen.frozenFile)).ino

      const [one, two] = await Promise.all([take(), take()])
      expect(two).toEqual(one)
      expect(one).toMatchObject({ frozen: false, frozenMs: null, machine: expect.stringMatching(/\S/) })
      expect(await phaseOf(spec.id)).toBe('running')
      expect(await lab.engine.snapshotState(spec.id, { key: 'snap', disks })).toBe('done')
      const layer = await stat(`${folder}/${disks[0]!.layerFile}`)
      expect({ ino: layer.ino, nlink: layer.nlink, mode: layer.mode & 0o777 }).toEqual({
        ino: before,
        nlink: 1,
        mode: 0o444,
      })
      expect((await readQcow2Header(frozen.frozenFile)).backingFile).toBe(disks[0]!.layerFile)
      expect(await readdir(folder)).not.toContain(disks[0]!.freshFile)

      const progress: number[] = []
      const merge = (onto: string | null, signal: AbortSignal) =>
        lab.engine.mergeDown(spec.id, {
          key: 'merge',
          driveId: 'root',
          onto,
          signal,
          onProgress: (done, total) => progress.push(done / Math.max(total, 1)),
        })
      const signal = new AbortController().signal
      await expect(merge(null, AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough')
      await merge(disks[0]!.layerFile, signal) // it stands on it already
      const base = `../images/${spec.base.file}`
      await merge(base, signal)
      expect(progress.at(-1)).toBe(1)
      expect((await readQcow2Header(frozen.frozenFile)).backingFile).toBe(base)
      await rm(`${folder}/${disks[0]!.layerFile}`) // nobody needs it now
      await stop(spec.id, 0)
      await expect(take({ key: 'late' })).rejects.toMatchObject({ code: 'not-found' })
      await expect(merge(base, signal)).rejects.toMatchObject({ code: 'not-found' })
      expect((await lab.engine.start(spec, key()).wait()).phase).toBe('running')
      await stop(spec.id, 0)
    })

    it('freezes the guest by its agent for a snapshot, and changes nothing where none answers', async () => {
      const { liveSnapshot, guestAgent } = lab.engine.capabilities
      if (!liveSnapshot || !guestAgent) return
      const without = await running()
      const spec = { ...(await lab.newSpec()), agent: true }
      await lab.engine.ensureNode(spec, key()).wait()
      await lab.engine.start(spec, key()).wait()
      const names = namesOfSnapshot()
      const take = ({ id, disks: [root] }: NodeSpec) => {
        const disks = [{ driveId: 'root', file: root!.file, ...names }]
        return lab.engine.snapshotDisks(id, { key: key(), disks, freeze: true })
      }
      const frozen = await lab.engine.freezeDisk(spec.id, { key: 'where' })
      await frozen.release()
      const folder = dirname(frozen.frozenFile)
      const before = await readdir(folder)

      expect(await lab.engine.guestAgent(without.id)).toBe('absent')
      expect(await lab.engine.guestAgent(spec.id)).toBe('silent')
      const began = performance.now()
      for (const one of [without, spec]) await expect(take(one)).rejects.toMatchObject({ code: 'unsupported' })
      expect(performance.now() - began).toBeLessThan(NO_AGENT_WITHIN_MS)
      expect(await readdir(folder)).toEqual(before)
      expect(await phaseOf(spec.id)).toBe('running')

      await lab.startAgent(spec.id)
      expect(await lab.engine.guestAgent(spec.id)).toBe('answers')
      const result = await take(spec)
      expect(result).toMatchObject({ frozen: true, frozenMs: expect.any(Number) })
      expect(lab.isGuestFrozen(spec.id)).toBe(false)
      expect((await readdir(folder)).toSorted()).toEqual([...before, names.layerFile].toSorted())
      await stop(without.id, 0)
      await stop(spec.id, 0)
      await expect(lab.engine.guestAgent(spec.id)).rejects.toMatchObject({ code: 'not-found' })
    })

    it('saves the memory of a running node with its disks, and goes on from it', async () => {
      const spec = await running()
      const disks = [{ driveId: 'root', file: spec.disks[0]!.file, ...namesOfSnapshot() }]
      if (!lab.engine.capabilities.liveSnapshot) return
      await untilLogHas(spec.id, lab.greeting)
      const memoryFile = `memory_${randomUUID()}.bin`
      await lab.engine.snapshotDisks(spec.id, { key: 'memory', disks, memoryFile })
      expect(await phaseOf(spec.id)).toBe('running')
      await stop(spec.id, 0)
      const later = { ...spec, generation: 2, backing: { layers: [disks[0]!.layerFile], base: true } }
      const resume = (file: string) => lab.engine.start({ ...later, resume: { memoryFile: file } }, key()).wait()
      await expect(resume('memory_none.bin')).rejects.toMatchObject({ code: 'bad-memory' })
      expect((await resume(memoryFile)).phase).toBe('running')
      expect((await lab.engine.serialTail(spec.id, 100_000)).includes(lab.greeting)).toBe(false)
      await stop(spec.id, 0)
      expect((await lab.engine.start(later, key()).wait()).phase).toBe('running')
      await untilLogHas(spec.id, lab.greeting)
      await stop(spec.id, 0)
    })

    it('suspends a running node, and lets it go on only when it is told to', async () => {
      const spec = await running()
      const memoryFile = `suspended_${randomUUID()}.bin`
      const suspend = () => lab.engine.suspend(spec.id, { key: key(), memoryFile }).wait()
      const stateOf = () => lab.engine.suspendState(spec.id, { memoryFile })
      if (!lab.engine.capabilities.suspend) {
        await expect(suspend()).rejects.toMatchObject({ code: 'unsupported' })
        return
      }
      await untilLogHas(spec.id, lab.greeting)
      expect(await stateOf()).toBe('none')
      const frozen = await lab.engine.freezeDisk(spec.id, { key: 'copy' })
      await expect(suspend()).rejects.toMatchObject({ code: 'conflict', retry: true })
      const folder = dirname(frozen.frozenFile)
      expect(await readdir(folder)).not.toContain(memoryFile)
      await frozen.release()

      const told = nextChange(spec.id, (node) => node.ended !== null)
      const { node, sizeBytes } = await suspend()
      expect(node).toMatchObject({ phase: 'stopped', ended: { how: 'asked' }, pid: null })
      expect((await told).node.reason).toMatch(/suspended/)
      const found = await stat(`${folder}/${memoryFile}`)
      expect({ sizeBytes, mode: found.mode & 0o777 }).toEqual({ sizeBytes: found.size, mode: 0o600 })
      expect((await suspend()).sizeBytes).toBe(sizeBytes) // it is so already
      expect(await stateOf()).toBe('done')

      const later = { ...spec, generation: 2, resume: { memoryFile, hold: true } }
      const held = await lab.engine.start(later, key()).wait()
      expect(held).toMatchObject({ phase: 'paused', generation: 2 })
      expect((await lab.engine.serialTail(spec.id, 100_000)).includes(lab.greeting)).toBe(false)
      expect((await lab.engine.resume(spec.id, { key: key() }).wait()).phase).toBe('running')
      expect(await stateOf()).toBe('none') // older than the disks from here on: gone
      expect(await readdir(folder)).not.toContain(memoryFile)
      expect(await phaseOf(spec.id)).toBe('running')
      await stop(spec.id, 0)
      await expect(suspend()).rejects.toMatchObject({ code: 'not-found' })
    })

    it('calls a node without its disk broken, and the others go on', async () => {
      const broken = await lab.newSpec()
      const other = await running()
      await expect(lab.engine.start(broken, 'try').wait()).rejects.toMatchObject({ code: 'broken' })
      expect(await phaseOf(broken.id)).toBe('failed')
      expect((await lab.engine.inspect(broken.id)).reason).toMatch(/disk/)
      expect(await phaseOf(other.id)).toBe('running')
      // The same key again is a new try, because the first has failed.
      await lab.engine.ensureNode(broken, key()).wait()
      expect((await lab.engine.start(broken, 'try').wait()).phase).toBe('running')
      await stop(broken.id, 0)
      await stop(other.id, 0)
    })

    async function untilLogHas(id: NodeId, text: string): Promise<void> {
      await eventually(async () => (await lab.engine.serialTail(id, 100_000)).includes(text), `${text} in the log`)
    }
    async function openSerial(id: NodeId): Promise<Listener> {
      return openTarget(await lab.engine.console(id, 'serial'))
    }
  })
}

function namesOfSnapshot() {
  const id = randomUUID()
  return { layerFile: `layer_${id}.qcow2`, freshFile: `fresh_${id}.qcow2` }
}

async function digest(file: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(file))
    .digest('hex')
}

interface Listener {
  stream: Duplex
  until(text: string): Promise<void>
}

async function openTarget(target: Awaited<ReturnType<NodeEngine['console']>>): Promise<Listener> {
  if (target.via === 'tcp') throw new Error('no engine of ours has TCP consoles')
  const stream = target.via === 'unix' ? connect(target.path) : await target.open()
  let heard = ''
  stream.on('data', (chunk: Buffer) => (heard += chunk.toString('latin1')))
  stream.on('error', () => undefined)
  return { stream, until: (text) => eventually(() => heard.includes(text), `${JSON.stringify(text)} on the console`) }
}

/** Waits for a condition, at most 20 s unless told. */
export async function eventually(
  condition: () => boolean | Promise<boolean>,
  what: string,
  withinMs = 20_000,
): Promise<void> {
  const deadline = performance.now() + withinMs
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited ${withinMs / 1000} s in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
