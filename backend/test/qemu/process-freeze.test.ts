import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { liveLayerFile, liveLayersDir, overlayFile } from '../../src/domain/layout.js'
import type { NodeEngine } from '../../src/hosts/engine.js'
import { compileSources, type CompiledSources } from '../support/compiled-backend.js'
import { numbersOfNode, numbersOn, startCounting, type CountingGuest } from './counting-guest.js'
import { eventually } from './engine-contract.js'
import { createProcessLab, pidOf, qemusIn, type ProcessLab } from './process-lab.js'

jest.setTimeout(240_000)

/** Nobody may notice that its disk is frozen; on this machine, which may be busy. */
const LONGEST_PAUSE_MS = 1000

let lab: ProcessLab
let engine: NodeEngine
let guest: CountingGuest
beforeEach(async () => {
  lab = await createProcessLab({ sizeMib: 64 })
  engine = await lab.open()
  guest = await startCounting(engine, lab)
})
afterEach(async () => {
  guest.close()
  await lab.close()
})

const liveLayers = async () => readdir(liveLayersDir(lab.layout))
const sha256 = async (file: string) =>
  createHash('sha256')
    .update(await readFile(file))
    .digest('hex')
const stopNow = () => engine.stop(guest.node.id, { key: `stop-${performance.now()}`, graceMs: 0 }).wait()
const freeze = () => engine.freezeDisk(guest.node.id, { key: 'copy' })
async function kill(pid: number): Promise<void> {
  process.kill(pid, 'SIGKILL')
  await eventually(() => !qemusIn(lab.dataDir).includes(pid), 'the end of QEMU')
}

describe('the frozen disk of a guest that writes without end', () => {
  it('stands still while it is copied, is a moment that was, and the guest loses nothing', async () => {
    const before = guest.taken()
    guest.longestGapMs()
    const frozen = await freeze()
    const at = guest.taken()
    const digest = await sha256(frozen.frozenFile)
    await guest.goesOn(60)
    const copy = `${lab.dataDir}/copy.qcow2`
    execFileSync('qemu-img', ['convert', '-f', 'qcow2', '-O', 'qcow2', frozen.frozenFile, copy])
    expect(await sha256(frozen.frozenFile)).toBe(digest)
    expect(await liveLayers()).toHaveLength(1)
    await frozen.release()
    expect(guest.longestGapMs()).toBeLessThan(LONGEST_PAUSE_MS)
    expect(await liveLayers()).toEqual([])
    await guest.goesOn(60)

    const copied = await numbersOn(copy)
    expect(copied).toBeGreaterThanOrEqual(before)
    expect(copied).toBeLessThanOrEqual(at + 1) // one may be written and not yet told
    await stopNow()
    expect(await numbersOfNode(lab, guest)).toBeGreaterThanOrEqual(guest.taken())
  })

  it('may be frozen again and again', async () => {
    for (let round = 0; round < 8; round += 1) {
      const frozen = await freeze()
      await guest.goesOn()
      await frozen.release()
    }
    await stopNow()
    expect(await numbersOfNode(lab, guest)).toBeGreaterThanOrEqual(guest.taken())
  })

  it('does not keep it from being stopped; it starts again with all it wrote, once the copy is made', async () => {
    const frozen = await freeze()
    await guest.goesOn(60)
    const digest = await sha256(frozen.frozenFile)
    await stopNow()
    expect(await sha256(frozen.frozenFile)).toBe(digest)
    await frozen.release()
    expect(await liveLayers()).toEqual([])
    expect(await numbersOfNode(lab, guest)).toBeGreaterThanOrEqual(guest.taken())
  })

  it('is given back when QEMU was killed meanwhile', async () => {
    const frozen = await freeze()
    await guest.goesOn(60)
    process.kill(pidOf(guest.node), 'SIGKILL')
    await frozen.release()
    expect(await numbersOfNode(lab, guest)).toBeGreaterThanOrEqual(guest.taken())
    expect(await liveLayers()).toEqual([])
  })

  it('keeps what it can not give back, says why at the start, and gives it back when it can', async () => {
    await freeze()
    await guest.goesOn(60)
    await engine.close()
    await kill(pidOf(guest.node))
    const layer = liveLayerFile(lab.layout, guest.node.id)
    const good = await readFile(layer)
    await writeFile(layer, Buffer.concat([Buffer.from('XXXX'), good.subarray(4)]))
    engine = await lab.open()
    const spec = lab.newSpec({ id: guest.node.id })
    const sameDisk = { ...spec, disks: [{ ...spec.disks[0]!, file: `node_${guest.node.id}.qcow2` }] }
    await expect(engine.start(sameDisk, 'try').wait()).rejects.toMatchObject({ code: 'broken' })
    expect((await engine.inspect(guest.node.id)).reason).toMatch(/damaged/)
    await writeFile(layer, good)
    expect((await engine.start(sameDisk, 'try').wait()).phase).toBe('running')
    await stopNow()
    expect(await numbersOfNode(lab, guest)).toBeGreaterThanOrEqual(guest.taken())
  })
})

describe('a backend that is killed with a frozen disk', () => {
  let compiled: CompiledSources
  let backend: ChildProcess | undefined
  beforeAll(async () => {
    compiled = await compileSources(['domain', 'system', 'state', 'storage', 'hosts'])
  })
  afterEach(() => void backend?.kill('SIGKILL'))
  afterAll(() => compiled.remove())

  /** A backend of its own, which freezes the guest's disk and says so; at a word it releases it. */
  async function freezeElsewhere(): Promise<ChildProcess> {
    await engine.close()
    const program = `
      const [{ createProcessEngine }, { layoutOf }, { createLog }] = await Promise.all(
        ['hosts/process-engine.js', 'domain/layout.js', 'system/log.js'].map((name) => import('${compiled.path('')}/' + name)))
      const dataDir = '${lab.dataDir}'
      const engine = await createProcessEngine({ layout: layoutOf(dataDir), dataDir, log: createLog('silent'), accelerator: 'tcg' })
      const frozen = await engine.freezeDisk('${guest.node.id}', { key: 'copy' })
      process.stdin.once('data', async () => { await frozen.release(); console.log('released') })
      console.log('frozen')`
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    backend = child
    await new Promise<void>((resolve, reject) => {
      child.stdout.once('data', () => resolve())
      child.once('exit', (code) => reject(new Error(`the backend ended with ${code}`)))
    })
    return child
  }
  async function killBackend(child: ChildProcess): Promise<void> {
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await ended
  }

  it('is followed by one that releases it before it answers; the guest ran on', async () => {
    await killBackend(await freezeElsewhere())
    await guest.goesOn(30)
    expect(await liveLayers()).toHaveLength(1)
    engine = await lab.open()
    expect(await liveLayers()).toEqual([])
    expect(await engine.inspect(guest.node.id)).toMatchObject({ phase: 'running', pid: guest.node.pid })
    await guest.goesOn(30)
    await stopNow()
    expect(await numbersOfNode(lab, guest)).toBeGreaterThanOrEqual(guest.taken())
  })

  it('is followed by one that puts all into the disk when QEMU has died, too', async () => {
    await killBackend(await freezeElsewhere())
    await guest.goesOn(30)
    await kill(pidOf(guest.node))
    engine = await lab.open()
    expect(await liveLayers()).toEqual([])
    expect(await numbersOfNode(lab, guest)).toBeGreaterThanOrEqual(guest.taken())
  })

  it.each(Array.from({ length: 12 }, (_, n) => n * 5))(
    'loses nothing when it dies %i ms into the release',
    async (ms) => {
      const child = await freezeElsewhere()
      child.stdin?.write('release\n')
      await new Promise((resolve) => setTimeout(resolve, ms)) // the moment of the kill, not a wait for something
      await killBackend(child)
      if (ms % 10 === 5) await kill(pidOf(guest.node))
      engine = await lab.open()
      expect(await liveLayers()).toEqual([])
      if (ms % 10 === 0) {
        expect(await engine.inspect(guest.node.id)).toMatchObject({ phase: 'running', pid: guest.node.pid })
        await guest.goesOn(20)
        await stopNow()
      }
      expect(await numbersOfNode(lab, guest)).toBeGreaterThanOrEqual(guest.taken())
    },
  )
})

describe('QEMU that is killed during the release', () => {
  it.each([0, 3, 6, 10, 15, 20])('has lost nothing %i ms after its beginning', async (ms) => {
    const frozen = await freeze()
    await guest.goesOn(30)
    const released = frozen.release()
    await new Promise((resolve) => setTimeout(resolve, ms)) // the moment of the kill, not a wait for something
    process.kill(pidOf(guest.node), 'SIGKILL')
    await released
    await eventually(async () => (await engine.inspect(guest.node.id)).phase === 'failed', 'the end')
    expect(await liveLayers()).toEqual([])
    expect(await numbersOfNode(lab, guest)).toBeGreaterThanOrEqual(guest.taken())
    await rm(overlayFile(lab.layout, guest.node.id))
  })
})
