import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { link, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { layoutOf, trashDir, trashEntryFile, type Layout } from '../domain/layout.js'
import type { TrashEntry } from '../domain/trash.js'
import { nodeRecord } from '../../test/state/fixtures/records.js'
import { sweepTrash } from './trash-folders.js'
import {
  isInTrash,
  listTrash,
  moveToTrash,
  purgeTrash,
  putBack,
  readEntry,
  takeFromTrash,
  trashFiles,
  trashIdOf,
  trashSize,
} from './trash-store.js'

const AT = '2026-11-21T10:00:00.000Z'
const RECORD = nodeRecord(1)
let layout: Layout
let entry: TrashEntry
const place = (name: string) => join(layout.overlays, name)
const text = (path: string) => readFile(path, 'utf8')

beforeEach(async () => {
  layout = layoutOf(await mkdtemp(join(tmpdir(), 'trash-')))
  await mkdir(layout.overlays)
  await mkdir(layout.images)
  await writeFile(place('one.qcow2'), 'one')
  await writeFile(place('two.qcow2'), 'two'.repeat(5000))
  entry = {
    kind: 'sandlabx-trash',
    schema: 1,
    id: trashIdOf(AT, RECORD.id),
    at: AT,
    reason: 'deleted',
    title: 'node web',
    ownerId: RECORD.ownerId,
    actorLogin: 'ada',
    operationId: null,
    node: RECORD,
    layers: [],
    snapshots: [],
    drives: [],
    files: [
      { name: 'one.qcow2', was: 'one.qcow2' },
      { name: 'second', was: 'two.qcow2' },
      { name: 'never.fd', was: 'never.fd' },
    ],
  }
})
afterEach(() => rm(join(layout.overlays, '..'), { recursive: true }))

describe('what moves to the trash', () => {
  it('is listed with its entry and its size, and gone from where it was', async () => {
    await moveToTrash(layout, entry)
    expect(await listTrash(layout)).toEqual([entry])
    expect((await readdir(layout.overlays)).toSorted()).toEqual(['.trash'])
    const files = await trashFiles(layout, entry)
    expect(files.map(({ path }) => path)).toEqual(['/overlays/one.qcow2', '/overlays/two.qcow2'])
    expect(await trashSize(layout)).toBe(files.reduce((sum, { bytes }) => sum + bytes, 0))
    expect(files.every(({ bytes }) => bytes > 0)).toBe(true)
  })

  it('leaves nothing of a try that a power cut ended', async () => {
    const folder = join(trashDir(layout), entry.id)
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, '.entry.json.4b01651fa40e.tmp'), '')
    await moveToTrash(layout, entry)
    expect((await readdir(folder)).toSorted()).toEqual(['entry.json', 'one.qcow2', 'second'])
  })

  it('is the same file, not a copy', async () => {
    const { ino } = await stat(place('one.qcow2'))
    await moveToTrash(layout, entry)
    expect((await stat(join(trashDir(layout), entry.id, 'one.qcow2'))).ino).toBe(ino)
  })

  it('stays as it is when it is moved again and another file has its name by now', async () => {
    await moveToTrash(layout, entry)
    await writeFile(place('one.qcow2'), 'fresh')
    await moveToTrash(layout, entry)
    expect(await text(place('one.qcow2'))).toBe('fresh')
    expect(await text(join(trashDir(layout), entry.id, 'one.qcow2'))).toBe('one')
  })

  it('is all there when a kill came between two files', async () => {
    await moveToTrash(layout, { ...entry, files: entry.files.slice(0, 1) })
    await moveToTrash(layout, entry)
    expect(await readEntry(layout, entry.id)).toEqual(entry)
    expect(await isInTrash(layout, entry.id, 'second')).toBe(true)
  })

  it('is the newest first', async () => {
    await moveToTrash(layout, { ...entry, files: [] })
    const later = '2026-11-21T11:00:00.000Z'
    await moveToTrash(layout, { ...entry, at: later, id: trashIdOf(later, RECORD.id), files: [] })
    expect((await listTrash(layout)).map(({ at }) => at)).toEqual([later, AT])
  })

  it.each([
    ['../state/nodes-state.json', 'path_not_allowed'],
    ['/etc/passwd', 'path_not_allowed'],
    ['/images/../state', 'path_not_allowed'],
  ])('is never %s', async (was, code) => {
    await expect(moveToTrash(layout, { ...entry, files: [{ name: 'x', was }] })).rejects.toMatchObject({ code })
  })

  it.each(['../x', 'a/b', '.hidden', '..', ''])('never has the name %j', async (name) => {
    const move = moveToTrash(layout, { ...entry, files: [{ name, was: 'one.qcow2' }] })
    await expect(move).rejects.toMatchObject({ code: 'bad_request' })
    expect(await text(place('one.qcow2'))).toBe('one')
  })
})

describe('what is taken from the trash', () => {
  it('is where it was, and its entry is gone', async () => {
    await moveToTrash(layout, entry)
    await takeFromTrash(layout, entry.id)
    expect(await text(place('one.qcow2'))).toBe('one')
    expect((await text(place('two.qcow2'))).length).toBe(15_000)
    expect(await listTrash(layout)).toEqual([])
    await takeFromTrash(layout, entry.id) // an undo that was cut off is undone again
  })

  it('is nothing when nothing was moved', async () => {
    await takeFromTrash(layout, entry.id)
    expect(await text(place('one.qcow2'))).toBe('one')
  })

  it('is refused, whole, when another file has its name, and can be taken back', async () => {
    await moveToTrash(layout, entry)
    await writeFile(place('two.qcow2'), 'another')
    await expect(putBack(layout, entry)).rejects.toMatchObject({ code: 'storage_in_use' })
    await moveToTrash(layout, entry)
    expect(await text(place('two.qcow2'))).toBe('another')
    expect(await isInTrash(layout, entry.id, 'one.qcow2')).toBe(true)
    expect(await isInTrash(layout, entry.id, 'second')).toBe(true)
  })

  it('has one name after a kill left it two', async () => {
    await moveToTrash(layout, entry)
    const kept = join(trashDir(layout), entry.id, 'one.qcow2')
    await link(kept, place('one.qcow2'))
    await moveToTrash(layout, entry)
    expect((await stat(kept)).nlink).toBe(1)
    await link(kept, place('one.qcow2'))
    await putBack(layout, entry)
    expect((await stat(place('one.qcow2'))).nlink).toBe(1)
  })
})

describe('what is purged', () => {
  it('is gone for good, and purging it again is success', async () => {
    await moveToTrash(layout, entry)
    await purgeTrash(layout, entry.id)
    await purgeTrash(layout, entry.id)
    expect(await readdir(trashDir(layout))).toEqual([])
  })

  it('is not listed when a kill left it half there, and the next start ends it', async () => {
    await moveToTrash(layout, entry)
    await rename(join(trashDir(layout), entry.id), join(trashDir(layout), `.going_${entry.id}`))
    expect(await listTrash(layout)).toEqual([])
    await sweepTrash(layout)
    expect(await readdir(trashDir(layout))).toEqual([])
  })

  it('never lies outside the trash', async () => {
    await expect(purgeTrash(layout, '..')).rejects.toMatchObject({ code: 'bad_request' })
    expect(await text(place('one.qcow2'))).toBe('one')
  })
})

describe('a folder from before there were entries', () => {
  it('is told by the record in it', async () => {
    await moveToTrash(layout, entry)
    const sidecar = { kind: 'sandlabx-node', schema: 1, status: 'attached', record: RECORD }
    await writeFile(join(trashDir(layout), entry.id, `node_${RECORD.id}.json`), JSON.stringify(sidecar))
    await rm(trashEntryFile(layout, entry.id))
    const [found] = await listTrash(layout)
    expect(found).toMatchObject({ id: entry.id, at: AT, title: `node ${RECORD.name}`, node: { id: RECORD.id } })
    expect(found?.files.map(({ name }) => name)).toEqual([`node_${RECORD.id}.json`, 'one.qcow2', 'second'])
  })

  it('can be looked at without one, and with an entry that is damaged', async () => {
    await moveToTrash(layout, entry)
    await writeFile(trashEntryFile(layout, entry.id), '{"kind":')
    const [found] = await listTrash(layout)
    expect(found).toMatchObject({ id: entry.id, at: AT, node: null })
    expect(await trashSize(layout)).toBeGreaterThan(0)
  })
})
