import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtemp, open, readdir, rm, stat, statfs, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { overlayFile, overlayFileName } from '../../src/domain/layout.js'
import type { NodeEngine, NodeSpec } from '../../src/hosts/engine.js'
import { macOf } from '../../src/hosts/machine.js'
import { compileSources, type CompiledSources } from '../support/compiled-backend.js'
import { numbersOn, startCounting, type CountingGuest } from './counting-guest.js'
import { eventually } from './engine-contract.js'
import { createProcessLab, qemusIn, type ProcessLab } from './process-lab.js'

jest.setTimeout(240_000)

let lab: ProcessLab
let engine: NodeEngine
let guest: CountingGuest
let memoryFile: string

const begin = async (dataDir?: string) => {
  lab = await createProcessLab({ sizeMib: 16, ...(dataDir === undefined ? {} : { dataDir }) })
  engine = await lab.open()
  guest = await startCounting(engine, lab)
  memoryFile = `suspended_${randomUUID()}.bin`
}
const end = async () => {
  guest.close()
  await lab.close()
}
const inOverlays = (file: string) => `${lab.layout.overlays}/${file}`
const memories = async () => (await readdir(lab.layout.overlays)).filter((name) => name.startsWith('suspended_'))
const suspend = () => engine.suspend(guest.node.id, { key: memoryFile, memoryFile }).wait()
const stateOf = () => engine.suspendState(guest.node.id, { memoryFile })
const numbers = () => numbersOn(overlayFile(lab.layout, guest.node.id))
/** The node as its record describes it afterwards. */
function specOf(generation: number): NodeSpec {
  const { id } = guest.node
  const [root] = lab.newSpec({ id }).disks
  const disks = [{ ...root!, file: overlayFileName(id) }]
  return lab.newSpec({ id, disks, nics: [{ mac: macOf(id), internet: false }], generation })
}
const load = (hold: boolean, generation = 2) =>
  engine.start({ ...specOf(generation), resume: { memoryFile, hold } }, randomUUID()).wait()
const stopNow = () => engine.stop(guest.node.id, { key: randomUUID(), graceMs: 0 }).wait()
const goesOnFrom = async (kept: number) => {
  await stopNow()
  expect(await numbers()).toBeGreaterThan(kept + 5)
}
const someDots = () =>
  eventually(async () => (await engine.serialTail(guest.node.id, 1000)).length > 20, 'dots of the guest')

describe('a guest that writes without end, suspended', () => {
  beforeEach(() => begin())
  afterEach(end)

  it('has all on its disk that it was told, waits held under another backend, and counts on from there', async () => {
    await suspend()
    expect(qemusIn(lab.dataDir)).toEqual([])
    const kept = await numbers()
    expect(kept).toBeGreaterThanOrEqual(guest.taken())
    execFileSync('qemu-img', ['check', '-q', '-f', 'qcow2', overlayFile(lab.layout, guest.node.id)])

    const held = await load(true)
    expect(held.phase).toBe('paused')
    await engine.close()
    engine = await lab.open()
    expect(await engine.inspect(guest.node.id)).toMatchObject({ phase: 'paused', pid: held.pid })
    await engine.resume(guest.node.id, { key: 'go' }).wait()
    await someDots()
    expect((await engine.serialTail(guest.node.id, 1000)).toString()).toMatch(/^\.+$/) // it did not boot
    await goesOnFrom(kept)
  })

  it('stands still while it waits for its turn, goes on under another backend, and is suspended from there', async () => {
    await engine.standStill!(guest.node.id)
    const still = guest.taken()
    await engine.standStill!(guest.node.id) // once more is no harm
    expect(await engine.inspect(guest.node.id)).toMatchObject({ phase: 'running' })
    expect(guest.taken() - still).toBeLessThan(20) // what was under way on its line
    await engine.close()
    engine = await lab.open()
    await guest.goesOn(20)

    await engine.standStill!(guest.node.id)
    await engine.resume(guest.node.id, { key: 'go' }).wait()
    await guest.goesOn(20)

    await engine.standStill!(guest.node.id)
    await suspend()
    const kept = await numbers()
    expect(kept).toBeGreaterThanOrEqual(guest.taken())
    await load(false)
    await someDots()
    await goesOnFrom(kept)
  })

  it('is loaded again after QEMU was killed while it loaded; what is cut short is bad memory', async () => {
    const { sizeBytes } = await suspend()
    const kept = await numbers()
    const loading = load(true)
    loading.catch(() => undefined)
    await eventually(() => qemusIn(lab.dataDir).length > 0, 'QEMU that loads')
    for (const pid of qemusIn(lab.dataDir)) process.kill(pid, 'SIGKILL')
    const failure = await loading.then(
      () => undefined, // it had loaded before it was killed
      (error: { code: string }) => error.code,
    )
    expect(failure).not.toBe('bad-memory')
    await eventually(() => qemusIn(lab.dataDir).length === 0, 'the end of QEMU')
    expect((await stat(inOverlays(memoryFile))).size).toBe(sizeBytes)
    await load(false, 3)
    await someDots()
    await goesOnFrom(kept)

    const file = await open(inOverlays(memoryFile), 'r+')
    await file.truncate(Math.floor(sizeBytes / 2))
    await file.close()
    await expect(load(true, 4)).rejects.toMatchObject({ code: 'bad-memory' })
    expect(qemusIn(lab.dataDir)).toEqual([])
  })
})

describe('a backend that is killed while it suspends', () => {
  let compiled: CompiledSources
  let backend: ChildProcess | undefined
  beforeAll(async () => {
    compiled = await compileSources(['domain', 'system', 'state', 'storage', 'hosts'])
  })
  beforeEach(() => begin())
  afterEach(async () => {
    backend?.kill('SIGKILL')
    await end()
  })
  afterAll(() => compiled.remove())

  /** A backend of its own, which begins at a word. */
  async function elsewhere(): Promise<ChildProcess> {
    await engine.close()
    const program = `
      const [{ createProcessEngine }, { layoutOf }, { createLog }] = await Promise.all(
        ['hosts/process-engine.js', 'domain/layout.js', 'system/log.js'].map((name) => import('${compiled.path('')}/' + name)))
      const dataDir = '${lab.dataDir}'
      const engine = await createProcessEngine({ layout: layoutOf(dataDir), dataDir, log: createLog('silent'), accelerator: 'tcg' })
      await engine.probe()
      process.stdin.once('data', () => engine.suspend('${guest.node.id}', { key: 'k', memoryFile: '${memoryFile}' }))
      console.log('ready')`
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

  // Odd: QEMU dies, too, as with a container.
  it.each([0, 5, 10, 21, 30, 41, 60, 80, 101, 140])(
    'after %i ms: the guest goes on, or is suspended, and never both',
    async (ms) => {
      const child = await elsewhere()
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.stdin?.write('go\n')
      await new Promise((resolve) => setTimeout(resolve, ms)) // the moment of the kill is the case
      child.kill('SIGKILL')
      await ended
      if (ms % 2 === 1) {
        for (const pid of qemusIn(lab.dataDir)) process.kill(pid, 'SIGKILL')
        await eventually(() => qemusIn(lab.dataDir).length === 0, 'the end of QEMU')
      }
      const told = guest.taken()
      engine = await lab.open()
      const state = await stateOf()
      expect(await stateOf()).toBe(state)
      expect(await memories()).toEqual(state === 'done' ? [memoryFile] : [])
      if (state === 'done') {
        expect(qemusIn(lab.dataDir)).toEqual([])
        expect(await numbers()).toBeGreaterThanOrEqual(told)
        await load(false)
        await someDots()
        await goesOnFrom(told)
      } else if (ms % 2 === 0) {
        expect(await engine.inspect(guest.node.id)).toMatchObject({ phase: 'running', pid: guest.node.pid })
        await guest.goesOn(20)
      } else expect(await numbers()).toBeGreaterThanOrEqual(told)
    },
  )
})

describe('a host whose disk fills up while a memory is written', () => {
  let dataDir: string
  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'sbx-'))
    // A small file system of its own; mounting needs root, which CI is.
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m,mode=0711', 'sandlabx-test', dataDir])
    await begin(dataDir)
  })
  afterEach(async () => {
    guest.close()
    await lab.close().catch(() => undefined) // the folder itself is a mount point and can't be removed
    execFileSync('umount', [dataDir])
    await rm(dataDir, { recursive: true, force: true })
  })

  it('lets the guest go on, keeps no part of it, and suspends it once there is room', async () => {
    const ballast = join(dataDir, 'ballast')
    const { bavail, bsize } = await statfs(dataDir)
    await writeFile(ballast, Buffer.alloc(bavail * bsize - 300 * 1024, 1)) // some numbers more fit, a memory does not
    await expect(suspend()).rejects.toMatchObject({ code: 'no-space' })
    expect(await memories()).toEqual([])
    expect(await engine.inspect(guest.node.id)).toMatchObject({ phase: 'running', pid: guest.node.pid })
    await guest.goesOn(10)
    await rm(ballast)
    await suspend()
    expect(await memories()).toEqual([memoryFile])
    expect(await numbers()).toBeGreaterThanOrEqual(guest.taken())
  })
})
