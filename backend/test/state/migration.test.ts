import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SandlabError } from '../../src/domain/error.js'
import { imageIdSchema, nodeIdSchema } from '../../src/domain/ids.js'
import { layoutOf, overlayFile, type Layout } from '../../src/domain/layout.js'
import type { MigrateWish } from '../../src/domain/migration.js'
import { createBus } from '../../src/events/bus.js'
import { discardOldDisks } from '../../src/migration/discard.js'
import { migrateProcedure, type MigrateIntent } from '../../src/migration/migrate.js'
import { planOnly, runMigration, type Migration } from '../../src/migration/run.js'
import { openStore, type Store } from '../../src/state/store.js'
import { createLog } from '../../src/system/log.js'
import { createOperations } from '../../src/transactions/operations.js'
import { createTransactions } from '../../src/transactions/transactions.js'
import { chainLength, checkDisk, readsAs } from '../support/disks.js'
import { about, nodeOver } from '../support/image-room.js'
import { ADMIN, fakeAccounts, type FakeAccounts } from '../support/migration-accounts.js'
import { oldInstallation, oldNode, touchedAt, type OldInstallation } from '../support/old-installation.js'

const WEB = '0b2f7a36-31f4-4a3e-9c53-1d5f2b1f7a01'
const DB = '0b2f7a36-31f4-4a3e-9c53-1d5f2b1f7a02'
const NEW = '0b2f7a36-31f4-4a3e-9c53-1d5f2b1f7a03'
const ANN = '6f1f7d0e-6a55-4f1e-8f5c-0d8d3f1a0002'

// Many small programs on a machine that may be busy.
jest.setTimeout(120_000)

let old: OldInstallation
let dataDir: string
let layout: Layout
let people: FakeAccounts

beforeEach(async () => {
  old = await oldInstallation()
  dataDir = await mkdtemp(join(tmpdir(), 'sandlabx-migration-'))
  layout = layoutOf(dataDir)
  people = fakeAccounts()
})
afterEach(async () => {
  await old.remove()
  await rm(dataDir, { recursive: true, force: true })
})

const migration = (changes: Partial<Migration> = {}): Migration => ({
  layout,
  log: createLog('silent'),
  openAccounts: async () => ({ accounts: people, close: async () => undefined }),
  ...changes,
})

const wishOf = (wish: Partial<MigrateWish> = {}): MigrateWish => ({ from: [old.folder], without: [], ...wish })

async function migrate(wish: Partial<MigrateWish> = {}, changes: Partial<Migration> = {}) {
  const whole = wishOf(wish)
  const { token } = await planOnly(migration(changes), whole)
  return runMigration(migration(changes), { ...whole, token })
}

async function stateNow() {
  const { store } = await openStore({ layout, log: createLog('silent') })
  const data = store.data
  await store.close()
  return data
}

const filesBelow = async (folder: string): Promise<string[]> => {
  const names: string[] = await readdir(folder, { recursive: true }).catch(() => [])
  return names.toSorted()
}

/** Seed 002's: disks and images in folders, the state from the volume. */
async function seedLayout() {
  await old.base('alpine-3.qcow2', 7)
  const disk = await old.disk(WEB, 'alpine-3.qcow2', 9)
  await old.state([oldNode(WEB, 'My Web #1')])
  return disk
}

describe('a migration', () => {
  it('brings a node over with its disk, its base image and a record that is whole', async () => {
    const disk = await seedLayout()
    const before = await touchedAt(disk)
    const report = await migrate()
    const { nodes, images } = await stateNow()
    expect(images).toMatchObject([{ id: 'alpine-3', file: 'alpine-3.qcow2', origin: 'imported' }])
    expect(nodes).toMatchObject([
      {
        id: WEB,
        name: 'my-web-1',
        ownerId: ADMIN,
        imageId: 'alpine-3',
        base: images[0]?.fingerprint,
        memoryMib: 512,
        cpus: 2,
        devices: { disk: 'ide', card: 'e1000' },
        desired: 'stopped',
        createdAt: '2030-01-01T00:00:00.000Z',
      },
    ])
    const path = overlayFile(layout, WEB)
    expect(await readsAs(path, 9, 2)).toBe(true)
    expect(await readsAs(path, 7, 1)).toBe(true)
    expect(await chainLength(path)).toBe(2)
    await checkDisk(path)
    expect(await touchedAt(disk)).toBe(before)
    expect(report).toMatchObject({ nodesBefore: 0, nodesAfter: 1, verifiedDisks: 1, removable: [{ path: disk }] })
    const sidecar = JSON.parse(await readFile(join(layout.overlays, `node_${WEB}.json`), 'utf8')) as object
    expect(sidecar).toMatchObject({ status: 'attached', record: { id: WEB, name: 'my-web-1' } })
  })

  it('changes nothing for a plan, not even in a lab that was never started', async () => {
    await seedLayout()
    const files = await filesBelow(old.folder)
    const plan = await planOnly(migration(), wishOf())
    expect(plan).toMatchObject({
      nodes: [{ oldName: 'My Web #1', name: 'my-web-1', action: 'copy', image: 'alpine-3' }],
      images: [{ id: 'alpine-3', action: 'import' }],
    })
    expect(await filesBelow(dataDir)).toEqual([])
    expect(await filesBelow(old.folder)).toEqual(files)
  })

  it('can be run twice: what came over stays as it is', async () => {
    await seedLayout()
    await migrate()
    const path = overlayFile(layout, WEB)
    const made = await touchedAt(path)
    const { nodes } = await stateNow()
    await old.state([oldNode(WEB, 'My Web #1'), oldNode(NEW, 'never ran')])
    const report = await migrate()
    expect(report.plan.nodes).toMatchObject([{ action: 'here' }, { action: 'empty', name: 'never-ran' }])
    expect(report.plan.images).toMatchObject([{ id: 'alpine-3', action: 'here' }])
    expect(await touchedAt(path)).toBe(made)
    const again = await stateNow()
    expect(again.nodes[0]).toEqual(nodes[0])
    expect(again.nodes[1]).toMatchObject({ id: NEW, imageId: 'alpine-3' })
    expect(await readsAs(overlayFile(layout, NEW), 7, 1)).toBe(true)
    expect(await migrate()).toMatchObject({ nodesBefore: 2, nodesAfter: 2, backup: null })
  })

  it('merges with what is there: names that are taken get a number, and nothing is overwritten', async () => {
    await seedLayout()
    await migrate()
    await old.state([oldNode(DB, 'my web 1'), oldNode(NEW, 'My Web #1', { osType: null, resources: undefined })])
    await old.disk(DB, 'alpine-3.qcow2', 11)
    await old.base('ubuntu-24-lts.qcow2', 5)
    await migrate()
    const { nodes } = await stateNow()
    expect(nodes.map(({ name }) => name)).toEqual(['my-web-1', 'my-web-1-2', 'my-web-1-3'])
    expect(nodes[2]).toMatchObject({ imageId: 'ubuntu-24-lts', cpus: 1, memoryMib: 2048 })
    expect(await readsAs(overlayFile(layout, DB), 11, 2)).toBe(true)
    expect(await readsAs(overlayFile(layout, WEB), 9, 2)).toBe(true)
  })

  it('takes the disk that was written last, and brings another one over as a node of its own', async () => {
    await old.base('alpine-3.qcow2', 7)
    await old.disk(WEB, 'alpine-3.qcow2', 9, 'overlays')
    await old.disk(WEB, 'alpine-3.qcow2', 10, 'volume/overlays')
    await old.state([oldNode(WEB, 'web')])
    const report = await migrate({ from: [old.folder, join(old.folder, 'volume')] })
    const [first, second] = report.plan.nodes
    expect([first?.name, second?.name]).toEqual(['web', 'web-other-disk'])
    expect(await readsAs(overlayFile(layout, WEB), 10, 2)).toBe(true)
    expect(await readsAs(overlayFile(layout, second?.id ?? ''), 9, 2)).toBe(true)
  })

  it('works in the very folders of the old one: its disk waits beside until it is deleted on purpose', async () => {
    await old.base('alpine-3.qcow2', 7)
    await old.disk(WEB, 'alpine-3.qcow2', 9)
    await old.state([oldNode(WEB, 'web')])
    layout = layoutOf(old.folder)
    const { token } = await planOnly(migration(), wishOf({ from: [] }))
    const report = await runMigration(migration(), { ...wishOf({ from: [] }), token })
    const [removable] = report.removable
    expect(removable?.path).toContain('/overlays/.migrated/')
    expect((await stateNow()).images).toMatchObject([{ id: 'alpine-3-old' }])
    expect(await readsAs(overlayFile(layout, WEB), 9, 2)).toBe(true)
    const discarded = await discardOldDisks(layout, join(report.backup ?? '', 'report.json'))
    expect(discarded).toMatchObject({ removed: [removable?.path], kept: [] })
    expect(await readsAs(overlayFile(layout, WEB), 9, 2)).toBe(true)
    await expect(stat(removable?.path ?? '')).rejects.toThrow('ENOENT')
  })

  it('gives nodes of the later database to their owners, with one-time passwords', async () => {
    await old.base('alpine-3.qcow2', 7)
    await old.disk(WEB, 'alpine-3.qcow2', 9)
    await old.write(
      'postgres.sql',
      `COPY public.sandlabx_nodes (id, name, os_type, overlay_path, ram_mb, cpu_cores, user_id) FROM stdin;
${WEB}\tweb\talpine\t/overlays/node_${WEB}.qcow2\t1024\t1\t${ANN}
\\.
COPY public.sandlabx_users (id, email, role) FROM stdin;
${ANN}\tAnn@school.example\tinstructor
\\.
`,
    )
    const report = await migrate()
    expect(report.passwords).toEqual([{ login: 'ann', password: 'once for ann' }])
    expect(people.made).toMatchObject([{ id: ANN, login: 'ann', old: { role: 'instructor' } }])
    expect((await stateNow()).nodes).toMatchObject([{ name: 'web', ownerId: ANN, memoryMib: 1024 }])
    const kept = join(report.backup ?? '', 'first-passwords.txt')
    expect(await readFile(kept, 'utf8')).toBe('ann\tonce for ann\n')
    expect((await stat(kept)).mode & 0o077).toBe(0)
  })

  it('lists files without a record, and leaves nodes behind whose base image is nowhere, with the reason', async () => {
    await seedLayout()
    const lost = await old.disk(DB, 'alpine-3.qcow2', 3)
    await old.state([oldNode(WEB, 'web'), oldNode(NEW, 'gone', { osType: 'debian' })])
    const report = await migrate()
    expect(report.plan.filesWithoutRecord).toMatchObject([{ path: lost }])
    expect(report.plan.nodes[1]).toMatchObject({
      action: 'left-out',
      reason: expect.stringContaining('debian-13.qcow2'),
    })
    expect((await stateNow()).nodes).toHaveLength(1)
  })

  it('refuses hostile disks before any QEMU tool has seen them', async () => {
    await seedLayout()
    const disk = await old.disk(DB, 'alpine-3.qcow2', 3)
    const bytes = await readFile(disk)
    bytes.writeBigUInt64BE(1n << 2n, 72) // an external data file
    await writeFile(disk, bytes)
    await old.state([oldNode(WEB, 'web'), oldNode(DB, 'evil')])
    const plan = await planOnly(migration(), wishOf())
    expect(plan.nodes[1]).toMatchObject({ action: 'left-out', reason: expect.stringContaining('another file') })
  })
})

describe('a migration that fails', () => {
  const untouched = async (work: () => Promise<unknown>, code: string) => {
    const before = await filesBelow(old.folder)
    await expect(work()).rejects.toMatchObject({ code })
    expect(await filesBelow(old.folder)).toEqual(before)
  }

  it.each([
    ['empty', ''],
    ['cut off', '{"version":"1.0.0","nodes":[{"id":"0b2f'],
    ['not of a SandLabX', '{"some":"thing"}'],
  ])('touches nothing when the old state is %s', async (_, content) => {
    await seedLayout()
    await old.write('state/nodes-state.json', content)
    await untouched(() => migrate(), 'state_unreadable')
    expect(await filesBelow(dataDir)).toEqual([])
  })

  it('takes back images, disks, accounts and a state that it made, when a disk turns out to be damaged', async () => {
    await seedLayout()
    const disk = await old.disk(DB, 'alpine-3.qcow2', 3)
    const bytes = await readFile(disk)
    const refcountTable = Number(bytes.readBigUInt64BE(48))
    bytes.fill(0, refcountTable, refcountTable + 65_536) // qemu-img check finds errors, the map is sound
    await writeFile(disk, bytes)
    await old.state([oldNode(WEB, 'web'), oldNode(DB, 'db')])
    await untouched(() => migrate(), 'node_broken')
    expect((await filesBelow(layout.images)).filter((name) => !name.startsWith('.'))).toEqual([])
    expect((await filesBelow(layout.overlays)).filter((name) => !name.startsWith('.'))).toEqual([])
    expect(people.takenBack).toBe(true)
    await expect(stat(layout.stateFile)).rejects.toThrow('ENOENT')
    const report = await migrate({ without: ['db'] })
    expect(report).toMatchObject({ nodesAfter: 1 })
  })

  it('gives the old disk its name again where the new one had it, when the state can not be saved', async () => {
    const base = await old.base('alpine-3.qcow2', 7)
    const disk = await old.disk(WEB, 'alpine-3.qcow2', 9)
    const before = await touchedAt(disk)
    layout = layoutOf(old.folder)
    const log = createLog('silent')
    await rename(layout.overlays, `${layout.overlays}-away`) // a state that is new is made over no disks
    await mkdir(layout.overlays)
    const { store } = await openStore({ layout, log })
    await rm(layout.overlays, { recursive: true })
    await rename(`${layout.overlays}-away`, layout.overlays)
    let seen: string[] = []
    const full: Store = {
      get data() {
        return store.data
      },
      get revision() {
        return store.revision
      },
      get fault() {
        return store.fault
      },
      async change(apply) {
        const names = await filesBelow(layout.overlays)
        if (!names.includes(`node_${WEB}.json`)) return store.change(apply)
        seen = names
        throw new SandlabError('no_space', 'the disk is full')
      },
      close: () => store.close(),
    }
    const bus = createBus()
    const operations = createOperations({ store: full, bus, log })
    const transactions = await createTransactions({ layout, store: full, operations, log })
    const procedure = migrateProcedure({ layout, store: full, bus, log, now: () => new Date() })
    const { size, mtimeMs } = await stat(disk)
    const record = { ...nodeOver('old-base', 'web'), id: nodeIdSchema.parse(WEB), diskBytes: 16 * 1024 ** 2 }
    const intent: MigrateIntent = {
      folder: randomUUID(),
      images: [
        { imageId: imageIdSchema.parse('old-base'), folder: randomUUID(), path: base, about: about('old-base') },
      ],
      nodes: [
        {
          record: { ...record, overlayFile: `node_${WEB}.qcow2` },
          disk: { path: disk, sizeBytes: size, mtimeMs: Math.floor(mtimeMs) },
          oldBase: base,
          inPlace: true,
        },
      ],
      needBytes: 1024 ** 2,
    }
    const start = { title: 'Bring in 1 node', actor: { id: null, login: 'test' }, target: null, cancellable: true }
    const { result } = transactions.run(procedure, intent, start)
    await expect(result).rejects.toMatchObject({ code: 'no_space' })
    expect(seen).toContain(`.migrated/${intent.folder}/node_${WEB}.qcow2`)
    expect(await touchedAt(disk)).toBe(before)
    expect((await readdir(layout.overlays)).filter((name) => !name.startsWith('.'))).toEqual([`node_${WEB}.qcow2`])
    expect(await readdir(layout.images)).not.toContain('old-base.qcow2')
    await operations.close()
    await store.close()
  })

  it('refuses to start while something else is found than what was shown', async () => {
    await seedLayout()
    const { token } = await planOnly(migration(), wishOf())
    await old.disk(WEB, 'alpine-3.qcow2', 12)
    await untouched(() => runMigration(migration(), { ...wishOf(), token }), 'busy')
  })

  it('refuses while a backend uses the lab', async () => {
    await seedLayout()
    await migrate()
    const { store } = await openStore({ layout, log: createLog('silent') })
    try {
      await untouched(() => migrate(), 'state_locked')
    } finally {
      await store.close()
    }
  })
})
