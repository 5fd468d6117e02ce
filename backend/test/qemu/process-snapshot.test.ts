import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { copyFile, mkdtemp, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { overlayFile, overlayFileName } from '../../src/domain/layout.js'
import type { NodeEngine, NodeSpec } from '../../src/hosts/engine.js'
import type { SnapshotDisk, SnapshotRequest } from '../../src/hosts/engine-disks.js'
import { macOf } from '../../src/hosts/machine.js'
import { readQcow2Header } from '../../src/system/qcow2.js'
import { compileSources, type CompiledSources } from '../support/compiled-backend.js'
import { numbersOfNode, numbersOn, startCounting, type CountingGuest } from './counting-guest.js'
import { eventually } from './engine-contract.js'
import { createProcessLab, pidOf, qemusIn, type ProcessLab } from './process-lab.js'

jest.setTimeout(240_000)

/** Nobody may notice a snapshot of disks; on this machine, which may be busy. */
const LONGEST_PAUSE_MS = 1000
const NEVER = new AbortController().signal

let lab: ProcessLab
let engine: NodeEngine
let guest: CountingGuest

const begin = async () => {
  lab = await createProcessLab({ sizeMib: 64 })
  engine = await lab.open()
  guest = await startCounting(engine, lab)
}
const end = async () => {
  guest.close()
  await lab.close()
}

function namesOf(): SnapshotDisk {
  const id = randomUUID()
  const file = overlayFileName(guest.node.id)
  return { driveId: 'root', file, layerFile: `layer_${id}.qcow2`, freshFile: `.fresh_${id}.qcow2` }
}
const inOverlays = (file: string) => `${lab.layout.overlays}/${file}`
const take = (disk: SnapshotDisk, changes: Partial<SnapshotRequest> = {}) =>
  engine.snapshotDisks(guest.node.id, { key: disk.layerFile, disks: [disk], ...changes })
const stateOf = (disk: SnapshotDisk, memoryFile?: string) =>
  engine.snapshotState(guest.node.id, {
    key: disk.layerFile,
    disks: [disk],
    ...(memoryFile === undefined ? {} : { memoryFile }),
  })
const mergeOnto = (
  onto: string | null,
  changes: { key?: string; signal?: AbortSignal; onProgress?: () => void } = {},
) =>
  engine.mergeDown(guest.node.id, {
    key: 'merge',
    driveId: 'root',
    onto,
    signal: NEVER,
    onProgress: () => undefined,
    ...changes,
  })
const stopNow = () => engine.stop(guest.node.id, { key: `stop-${performance.now()}`, graceMs: 0 }).wait()
const reopen = async () => {
  await engine.close()
  engine = await lab.open()
}
const base = () => `../images/${lab.image.file}`
const sha256 = async (file: string) =>
  createHash('sha256')
    .update(await readFile(file))
    .digest('hex')
async function killQemu(): Promise<void> {
  const pid = pidOf(guest.node)
  process.kill(pid, 'SIGKILL')
  await eventually(() => !qemusIn(lab.dataDir).includes(pid), 'the end of QEMU')
}
async function openInQemu(): Promise<number[]> {
  const folder = `/proc/${pidOf(guest.node)}/fd`
  return Promise.all((await readdir(folder)).map(async (fd) => (await stat(`${folder}/${fd}`)).ino))
}
/** The node as its record describes it afterwards. */
function specOver(layers: string[], changes: Partial<NodeSpec> = {}): NodeSpec {
  const { id } = guest.node
  const [root] = lab.newSpec({ id }).disks
  const disks = [{ ...root!, file: overlayFileName(id) }]
  const nics = [{ mac: macOf(id), internet: false }]
  return lab.newSpec({ id, disks, nics, generation: 2, backing: { layers, base: true }, ...changes })
}
/** Files in `overlays/`, but for the folders that come and go. */
const files = async () => (await readdir(lab.layout.overlays)).filter((name) => name.endsWith('.qcow2')).toSorted()

describe('a live snapshot of a guest that writes without end', () => {
  beforeEach(begin)
  afterEach(end)

  it('is a moment that was, never changes again, and the guest notices nothing', async () => {
    const before = guest.taken()
    guest.longestGapMs()
    const disk = namesOf()
    const { pauseMs } = await take(disk)
    const at = guest.taken()
    const layer = await sha256(inOverlays(disk.layerFile))
    await guest.goesOn(60)
    expect(pauseMs).toBeLessThan(LONGEST_PAUSE_MS)
    expect(guest.longestGapMs()).toBeLessThan(LONGEST_PAUSE_MS)
    await stopNow()
    expect(await sha256(inOverlays(disk.layerFile))).toBe(layer)
    execFileSync('qemu-img', ['check', '-q', '-f', 'qcow2', inOverlays(disk.layerFile)])
    const kept = await numbersOn(inOverlays(disk.layerFile))
    expect(kept).toBeGreaterThanOrEqual(before)
    expect(kept).toBeLessThanOrEqual(at + 1) // one may be written and not yet told
    expect(await numbersOfNode(lab, guest)).toBeGreaterThanOrEqual(guest.taken())
  })

  it('may be read by others at once, is taken again and again, frozen, and merged, under a new backend each time', async () => {
    const [one, two, three] = [namesOf(), namesOf(), namesOf()]
    await take(one)
    execFileSync('qemu-img', ['compare', '-q', inOverlays(one.layerFile), inOverlays(one.layerFile)])
    await guest.goesOn()
    await reopen()
    await take(two)
    await guest.goesOn()
    await reopen()
    await take(three)
    await guest.goesOn()
    // Each layer is still the file that QEMU has, although all of them had another name before.
    for (const { layerFile } of [one, two, three]) {
      expect(await openInQemu()).toContain((await stat(inOverlays(layerFile))).ino)
    }
    const frozen = await engine.freezeDisk(guest.node.id, { key: 'copy' })
    await expect(take(namesOf())).rejects.toMatchObject({ code: 'conflict', retry: true })
    await guest.goesOn()
    await reopen() // without a release
    expect(await engine.inspect(guest.node.id)).toMatchObject({ phase: 'running', pid: guest.node.pid })
    await guest.goesOn()
    await frozen.release().catch(() => undefined)

    await mergeOnto(one.layerFile)
    await rm(inOverlays(two.layerFile))
    await rm(inOverlays(three.layerFile))
    await guest.goesOn()
    const openFiles = execFileSync('ls', ['-l', `/proc/${pidOf(guest.node)}/fd`], { encoding: 'utf8' })
    expect(openFiles).not.toContain('(deleted)')
    await reopen()
    await take(namesOf())
    await guest.goesOn()
    await mergeOnto(base())
    await mergeOnto(base())
    await guest.goesOn()
    await stopNow()
    expect((await readQcow2Header(overlayFile(lab.layout, guest.node.id))).backingFile).toBe(base())
    expect(await numbersOfNode(lab, guest)).toBeGreaterThanOrEqual(guest.taken())
    expect((await engine.start(specOver([]), 'again').wait()).phase).toBe('running')
  })

  it('loses nothing when QEMU is killed after it: the next start finds all that the disk had taken', async () => {
    const disk = namesOf()
    await take(disk)
    await guest.goesOn(60)
    await killQemu()
    await eventually(async () => (await engine.inspect(guest.node.id)).phase === 'failed', 'the end')
    expect(await stateOf(disk)).toBe('done')
    expect(await numbersOfNode(lab, guest)).toBeGreaterThanOrEqual(guest.taken())
    expect((await engine.start(specOver([disk.layerFile]), 'again').wait()).phase).toBe('running')
    await expect(engine.start(specOver([]), 'other').wait()).resolves.toMatchObject({ phase: 'running' }) // joined
  })

  it('leaves nothing when it can not be taken', async () => {
    const disk = namesOf()
    const before = await files()
    await expect(take({ ...disk, driveId: 'none' })).rejects.toMatchObject({ code: 'not-found' })
    await expect(take(disk, { key: 'two', disks: [disk, { ...disk, driveId: 'none' }] })).rejects.toThrow()
    await writeFile(inOverlays(disk.layerFile), 'taken')
    await expect(take(disk, { key: 'three' })).rejects.toMatchObject({ code: 'conflict' })
    await rm(inOverlays(disk.layerFile))
    expect(await files()).toEqual(before)
    expect(await stateOf(disk)).toBe('none')
    await take(disk, { key: 'four' })
    await guest.goesOn()
  })

  it('takes a merge back that is cancelled, and one that another backend was asked for', async () => {
    const disk = namesOf()
    await take(disk)
    await guest.goesOn()
    const stop = new AbortController()
    let meanwhile: Promise<unknown> | undefined
    const onProgress = () => {
      meanwhile ??= take(namesOf()).catch((error: unknown) => error) // while it is surely under way
      stop.abort(new Error('enough'))
    }
    await expect(mergeOnto(base(), { signal: stop.signal, onProgress })).rejects.toThrow('enough')
    expect(await meanwhile).toMatchObject({ code: 'conflict', retry: true })
    expect((await readQcow2Header(overlayFile(lab.layout, guest.node.id))).backingFile).toBe(disk.layerFile)

    const left = mergeOnto(base(), { key: 'left', onProgress: () => void engine.close() })
    await expect(left).rejects.toMatchObject({ code: 'lost' })
    engine = await lab.open()
    await take(namesOf())
    await guest.goesOn()
    await stopNow()
    execFileSync('qemu-img', ['check', '-q', '-f', 'qcow2', inOverlays(disk.layerFile)])
    expect(await numbersOfNode(lab, guest)).toBeGreaterThanOrEqual(guest.taken())
  })
})

describe('the saved memory of a guest', () => {
  const MEMORY = 'memory_of-a-test.bin'
  let disk: SnapshotDisk
  let kept: number
  beforeAll(async () => {
    await begin()
    disk = namesOf()
    await take(disk, { memoryFile: MEMORY })
    await guest.goesOn(60)
    await stopNow()
    kept = await numbersOn(inOverlays(disk.layerFile))
  })
  afterAll(end)

  /** The disk is that of the snapshot again. */
  const restore = async () => {
    const { size } = await stat(inOverlays(disk.layerFile))
    expect(size).toBeGreaterThan(0)
    await rm(overlayFile(lab.layout, guest.node.id))
    const disks = ['-b', disk.layerFile, '-F', 'qcow2', overlayFileName(guest.node.id)]
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', ...disks], { cwd: lab.layout.overlays })
  }
  const resumeWith = (changes: Partial<NodeSpec> = {}, memoryFile = MEMORY) =>
    engine.start(specOver([disk.layerFile], { resume: { memoryFile }, ...changes }), randomUUID()).wait()
  const numbers = () => numbersOn(overlayFile(lab.layout, guest.node.id))

  it('lets it go on counting from where it was', async () => {
    await restore()
    expect((await stat(inOverlays(MEMORY))).mode & 0o777).toBe(0o600)
    const node = await resumeWith()
    expect(node).toMatchObject({ phase: 'running', generation: 2 })
    await eventually(async () => (await engine.serialTail(node.id, 1000)).length > 50, 'dots')
    expect((await engine.serialTail(node.id, 1000)).toString()).toMatch(/^\.+$/)
    await stopNow()
    expect(await numbers()).toBeGreaterThan(kept + 20)
  })

  it('is refused for another machine or when it is damaged, and the guest has not run', async () => {
    await restore()
    await expect(resumeWith({ memoryMib: 48 })).rejects.toMatchObject({
      code: 'bad-memory',
      message: expect.stringContaining('memory'),
    })
    await expect(resumeWith({ nics: [] })).rejects.toMatchObject({ code: 'bad-memory' })
    const short = 'memory_short.bin'
    await copyFile(inOverlays(MEMORY), inOverlays(short))
    const file = await open(inOverlays(short), 'r+')
    await file.truncate(Math.floor((await file.stat()).size / 2))
    await file.close()
    await expect(resumeWith({}, short)).rejects.toMatchObject({ code: 'bad-memory' })
    expect(qemusIn(lab.dataDir)).toEqual([])
    expect(await numbers()).toBe(kept)
    expect((await resumeWith()).phase).toBe('running')
    await stopNow()
  })
})

describe('a backend that is killed during a live snapshot', () => {
  let compiled: CompiledSources
  let backend: ChildProcess | undefined
  beforeAll(async () => {
    compiled = await compileSources(['domain', 'system', 'state', 'storage', 'hosts'])
  })
  beforeEach(begin)
  afterEach(async () => {
    backend?.kill('SIGKILL')
    await end()
  })
  afterAll(() => compiled.remove())

  /** A backend of its own, which begins the snapshot at a word. */
  async function elsewhere(request: object): Promise<ChildProcess> {
    await engine.close()
    const program = `
      const [{ createProcessEngine }, { layoutOf }, { createLog }] = await Promise.all(
        ['hosts/process-engine.js', 'domain/layout.js', 'system/log.js'].map((name) => import('${compiled.path('')}/' + name)))
      const dataDir = '${lab.dataDir}'
      const engine = await createProcessEngine({ layout: layoutOf(dataDir), dataDir, log: createLog('silent'), accelerator: 'tcg' })
      await engine.probe() // killed during it, the guest of the probe would stay
      process.stdin.once('data', () => engine.snapshotDisks('${guest.node.id}', ${JSON.stringify(request)}))
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

  // Even: QEMU lives on. Odd: it dies, too. The memory of the tiny guest takes some 50 ms more.
  it.each([0, 6, 12, 15, 20, 25, 41, 60, 81, 121])(
    'has taken it or not, and lost nothing, %i ms after its beginning',
    async (ms) => {
      const disk = namesOf()
      const memoryFile = ms % 4 < 2 ? 'memory_of-a-test.bin' : undefined
      const before = await files()
      const child = await elsewhere({ key: 'snap', disks: [disk], memoryFile })
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.stdin?.write('go\n')
      await new Promise((resolve) => setTimeout(resolve, ms)) // the moment of the kill, not a wait for something
      child.kill('SIGKILL')
      await ended
      if (ms % 2 === 1) await killQemu()
      // While its memory is saved it is held: the next backend lets it go.
      else if (memoryFile === undefined) await guest.goesOn(20)
      engine = await lab.open()
      const state = await stateOf(disk, memoryFile)
      expect(await stateOf(disk, memoryFile)).toBe(state)
      expect(await files()).toEqual(state === 'done' ? [...before, disk.layerFile].toSorted() : before)
      if (ms % 2 === 0) {
        expect(await engine.inspect(guest.node.id)).toMatchObject({ phase: 'running', pid: guest.node.pid })
        await guest.goesOn(20)
        const next = namesOf()
        await take(next)
        await guest.goesOn(20)
        await stopNow()
        execFileSync('qemu-img', ['check', '-q', '-f', 'qcow2', inOverlays(next.layerFile)])
      }
      expect(await numbersOfNode(lab, guest)).toBeGreaterThanOrEqual(guest.taken())
    },
  )
})

describe('a merge on a disk of the host that is full', () => {
  let dataDir: string
  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'sbx-full-'))
    // A small file system of its own; mounting needs root, which CI is.
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m,mode=0711', 'sandlabx-test', dataDir])
    lab = await createProcessLab({ dataDir, sizeMib: 64 })
    engine = await lab.open()
    guest = await startCounting(engine, lab)
  })
  afterAll(async () => {
    guest.close()
    await lab.close().catch(() => undefined) // the folder itself is a mount point and can't be removed
    await eventually(() => qemusIn(dataDir).length === 0, 'the end of QEMU')
    execFileSync('umount', [dataDir])
    await rm(dataDir, { recursive: true })
  })

  it('fails and says so; the node goes on with its old chain, and starts with it', async () => {
    await guest.goesOn(400)
    const disk = namesOf()
    await take(disk)
    const { size } = await stat(inOverlays(disk.layerFile))
    await expect(writeFile(join(dataDir, 'ballast'), Buffer.alloc(24 * 1024 ** 2, 1))).rejects.toThrow(/ENOSPC/)
    expect(size).toBeGreaterThan(256 * 1024)
    await expect(mergeOnto(base())).rejects.toMatchObject({ code: 'no-space' })
    expect((await readQcow2Header(overlayFile(lab.layout, guest.node.id))).backingFile).toBe(disk.layerFile)
    await rm(join(dataDir, 'ballast'))
    await engine.resume(guest.node.id, { key: 'room' }).wait()
    await guest.goesOn(20)
    await stopNow()
    expect(await numbersOfNode(lab, guest)).toBeGreaterThanOrEqual(guest.taken())
    expect((await engine.start(specOver([disk.layerFile]), 'again').wait()).phase).toBe('running')
  })
})
