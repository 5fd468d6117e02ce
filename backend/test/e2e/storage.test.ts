import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rename, rm, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { nodeIdSchema } from '../../src/domain/ids.js'
import { type Layout } from '../../src/domain/layout.js'
import type { NodeEngine } from '../../src/hosts/engine.js'
import { openTerminal, type GuestTerminal } from '../qemu/guest-terminal.js'
import { qemusIn } from '../qemu/process-lab.js'
import { provideImage } from '../support/built-images.js'
import { cli, type CliResult } from '../support/cli.js'
import { checkDisk } from '../support/disks.js'
import { type Person } from '../support/lab.js'
import { startRealLab, type RealLab } from '../support/real-lab.js'

jest.setTimeout(300_000)
const run = promisify(execFile)
const PASSWORD = 'correct horse'

/** A whole SandLabX with real guests, and somebody at its command line. */
interface Place {
  dataDir: string
  layout: Layout
  lab: RealLab
  engine: NodeEngine
  person: Person
}

const places: Place[] = []
let here: Place
let scratch: string

async function open(): Promise<Place> {
  const lab = await startRealLab()
  const { dataDir, layout, engine } = lab
  await provideImage(layout, lab.backend.services.lab!.store, 'tiny')
  const place = { dataDir, layout, lab, engine, person: await lab.person('administrator', 'ada') }
  places.push(place)
  return place
}

beforeAll(async () => {
  here = await open()
  scratch = await mkdtemp(join(tmpdir(), 'sbx-files-'))
}, 600_000)

afterAll(async () => {
  for (const { dataDir, lab } of places) {
    for (const pid of qemusIn(dataDir)) process.kill(pid, 'SIGKILL')
    await lab.close()
  }
  if (scratch) await rm(scratch, { recursive: true, force: true })
})

/** `sandlabx …` there; fails when it does. */
async function sandlabx(place: Place, ...argv: string[]): Promise<string> {
  const result = await tried(place, ...argv)
  if (result.exitCode !== 0)
    throw new Error(`sandlabx ${argv.join(' ')}: ${result.exitCode}\n${result.err}${result.out}`)
  return result.out
}

const tried = ({ lab, person }: Place, ...argv: string[]): Promise<CliResult> =>
  cli(argv, { env: { SANDLABX_URL: lab.url, SANDLABX_TOKEN: person.token } })

async function idOf(place: Place, name: string) {
  const { nodes } = (await place.person.send('GET', '/api/nodes')).body as { nodes: { id: string; name: string }[] }
  return nodeIdSchema.parse(nodes.find((node) => node.name === name)?.id)
}

async function create(place: Place, name: string): Promise<string> {
  const body = { name, image: 'tiny', memoryMib: 128, guestUser: 'ada', guestPassword: PASSWORD }
  const { node } = (await place.person.send('POST', '/api/nodes', body)).body
  return node.id
}

async function terminalOf(place: Place, name: string): Promise<GuestTerminal> {
  const target = await place.engine.console(await idOf(place, name), 'serial')
  if (target.via !== 'unix') throw new Error('the console of a process is a unix socket')
  const terminal = await openTerminal(target.path)
  await terminal.signIn('ada', PASSWORD)
  return terminal
}

/** Starts it, runs a line in its shell, stops it. */
async function inGuest(place: Place, name: string, line: string): Promise<string> {
  await sandlabx(place, 'start', name)
  const terminal = await terminalOf(place, name)
  const said = await terminal.run(`${line}; sync`)
  terminal.close()
  await sandlabx(place, 'stop', name)
  return said
}

const overlayOf = async (place: Place, name: string) => `/overlays/node_${await idOf(place, name)}.qcow2`
const onDisk = ({ dataDir }: Place, path: string) => join(dataDir, path)
const filesOf = async ({ layout }: Place) => (await readdir(layout.overlays)).filter((name) => !name.startsWith('.'))

describe('workflow 1: a node for a test', () => {
  it('is added from a file, used, and deleted with all its storage: nothing is left', async () => {
    const before = await filesOf(here)
    await create(here, 'model')
    const yaml = await sandlabx(here, 'show', 'model')
    await sandlabx(here, 'delete', 'model', '--delete-storage', '--force')
    const file = join(scratch, 'test.yaml')
    await writeFile(file, yaml)

    await sandlabx(here, 'add', file, '--name', 'test-vm')
    await sandlabx(here, 'start', 'test-vm')
    const refused = await tried(here, 'delete', 'test-vm', '--delete-storage', '--force')
    expect(refused.exitCode).toBe(1)
    expect(refused.err).toMatch(/running.*\n?.*sandlabx stop test-vm/s)
    await sandlabx(here, 'stop', 'test-vm', '--now')
    await sandlabx(here, 'delete', 'test-vm', '--delete-storage', '--force')
    expect(await filesOf(here)).toEqual(before)
    expect(await sandlabx(here, 'storage', 'orphaned')).toContain('No orphaned storage found')
  })
})

describe('workflow 2: a node that is put away', () => {
  it('keeps its storage when it is deleted, is found as an orphan, and comes back with all that was written', async () => {
    await create(here, 'archive')
    await inGuest(here, 'archive', 'echo final > ~/state')
    await sandlabx(here, 'snapshot', 'archive', 'create', 'final-state')
    const path = await overlayOf(here, 'archive')
    await sandlabx(here, 'delete', 'archive', '--force')
    const listed = await sandlabx(here, 'storage', 'orphaned')
    expect(listed).toContain(path)
    expect(listed).toContain('archive')

    await sandlabx(here, 'storage', 'attach', 'archive', path)
    expect(await sandlabx(here, 'storage', 'verify', 'archive', '--level', 'full')).toContain('✓')
    expect(await sandlabx(here, 'snapshot', 'archive', 'ls')).toContain('final-state')
    expect(await inGuest(here, 'archive', 'cat ~/state')).toBe('final')
    await sandlabx(here, 'delete', 'archive', '--delete-storage', '--force')
  })
})

describe('workflow 3: a node that moves to another machine', () => {
  it('is exported, its disk carried over, and attached there by its YAML', async () => {
    const there = await open()
    await create(here, 'migrate')
    await inGuest(here, 'migrate', 'echo carried > ~/state')
    const yaml = join(scratch, 'migrate.yaml')
    await writeFile(yaml, await sandlabx(here, 'show', 'migrate'))
    const path = await overlayOf(here, 'migrate')
    await sandlabx(here, 'delete', 'migrate', '--force')

    const arrived = '/overlays/migrate.qcow2'
    await run('cp', ['--sparse=always', onDisk(here, path), onDisk(there, arrived)])
    const text = await readFile(yaml, 'utf8')
    await writeFile(yaml, text.replaceAll(path, arrived))
    await sandlabx(there, 'storage', 'attach', 'migrate', arrived, '--vm-config', yaml)
    expect(await inGuest(there, 'migrate', 'cat ~/state')).toBe('carried')
    await sandlabx(here, 'storage', 'discard', path, '--force')
  })
})

describe('workflow 4: keeping order', () => {
  it('lists orphans for a script, and verifies every node: missing storage is named, exit 3', async () => {
    await create(here, 'tidy')
    await create(here, 'hurt')
    expect(JSON.parse(await sandlabx(here, 'storage', 'orphaned', '--json'))).toMatchObject({ orphans: [] })
    expect(await sandlabx(here, 'storage', 'verify', 'tidy')).toContain('exists')

    const path = await overlayOf(here, 'hurt')
    await rename(onDisk(here, path), join(scratch, 'hurt.qcow2'))
    const failed = await tried(here, 'storage', 'verify', 'hurt')
    expect(failed.exitCode).toBe(3)
    expect(failed.out).toMatch(new RegExp(`✗ ${path} .*MISSING`))
    expect((await tried(here, 'storage', 'verify', '--all')).exitCode).toBe(3)
    await rename(join(scratch, 'hurt.qcow2'), onDisk(here, path))
    await sandlabx(here, 'storage', 'verify', '--all')
    await sandlabx(here, 'delete', 'tidy', 'hurt', '--delete-storage', '--force')
  })
})

describe('workflow 5: tests on a snapshot', () => {
  it('keeps the snapshot when the node and its storage go, and a new node stands on it', async () => {
    await create(here, 'lab-vm')
    await inGuest(here, 'lab-vm', 'echo baseline > ~/state')
    const yaml = join(scratch, 'lab-vm.yaml')
    await writeFile(yaml, await sandlabx(here, 'show', 'lab-vm'))
    await sandlabx(here, 'snapshot', 'lab-vm', 'create', 'root', 'baseline')
    await inGuest(here, 'lab-vm', 'echo broken > ~/state')
    await sandlabx(here, 'delete', 'lab-vm', '--delete-storage', '--keep-snapshots', '--force')

    const { orphans } = JSON.parse(await sandlabx(here, 'storage', 'orphaned', '--json'))
    const kept = orphans.find((orphan: { snapshotName: string | null }) => orphan.snapshotName === 'baseline')
    expect(kept).toMatchObject({ kind: 'snapshot', formerly: { nodeName: 'lab-vm' } })
    const before = createHash('sha256')
      .update(await readFile(onDisk(here, kept.path)))
      .digest('hex')
    await sandlabx(here, 'storage', 'attach', 'recovered', kept.path)
    expect(await inGuest(here, 'recovered', 'cat ~/state')).toBe('baseline')
    await inGuest(here, 'recovered', 'echo changed > ~/state')
    const after = createHash('sha256')
      .update(await readFile(onDisk(here, kept.path)))
      .digest('hex')
    expect(after).toBe(before)
    await sandlabx(here, 'delete', 'recovered', '--delete-storage', '--force')
  })
})

describe('a mistake', () => {
  it('is undone: a reset, and then a delete with all storage', async () => {
    await create(here, 'precious')
    await inGuest(here, 'precious', 'echo thesis > ~/state')
    await sandlabx(here, 'reset', 'precious', '--force')
    expect(await inGuest(here, 'precious', 'cat ~/state || echo nothing')).toContain('nothing')
    await sandlabx(here, 'undo', await newest('node.reset'), '--force')
    expect(await inGuest(here, 'precious', 'cat ~/state')).toBe('thesis')
    await sandlabx(here, 'delete', 'precious', '--delete-storage', '--force')
    expect(await sandlabx(here, 'trash', 'ls')).toContain('precious')
    await sandlabx(here, 'trash', 'restore', 'precious')
    expect(await inGuest(here, 'precious', 'cat ~/state')).toBe('thesis')
    await checkDisk(onDisk(here, await overlayOf(here, 'precious')))
    await sandlabx(here, 'delete', 'precious', '--delete-storage', '--force')
  })
})

describe('a test boot', () => {
  it('of a real disk sees its login, takes a picture, writes nothing to the disk, and leaves nothing', async () => {
    await create(here, 'backup')
    await inGuest(here, 'backup', 'echo kept > ~/state')
    const disk = onDisk(here, await overlayOf(here, 'backup'))
    const sum = async () =>
      createHash('sha256')
        .update(await readFile(disk))
        .digest('hex')
    const before = [await sum(), await filesOf(here), qemusIn(here.dataDir)]
    const picture = join(scratch, 'boot.png')
    await sandlabx(here, 'test-boot', 'backup', '--screenshot', picture)
    expect((await readFile(picture)).subarray(1, 4).toString()).toBe('PNG')
    expect([await sum(), await filesOf(here), qemusIn(here.dataDir)]).toEqual(before)
    expect(await readdir(join(here.layout.overlays, '.ephemeral'))).toEqual([])
    expect(await inGuest(here, 'backup', 'cat ~/state')).toBe('kept')

    const failed = await tried(here, 'test-boot', 'backup', '--expect', 'no such text', '--timeout', '5')
    expect(failed.exitCode).toBe(3)
    expect(qemusIn(here.dataDir)).toEqual([])
    await unlink(picture)
  })
})

/** Id of the newest operation of a kind. */
async function newest(kind: string): Promise<string> {
  const { operations } = (await here.person.send('GET', `/api/operations?kind=${kind}&limit=1`)).body
  return operations[0].id
}
