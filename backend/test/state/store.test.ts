import { createHash } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { ERROR_CODES, isSandlabError, SandlabError } from '../../src/domain/error.js'
import { layoutOf, overlayFile, previousStateFile, type Layout } from '../../src/domain/layout.js'
import { emptyState, STATE_SCHEMA } from '../../src/domain/state.js'
import { lockState } from '../../src/state/lock.js'
import { MIGRATIONS } from '../../src/state/migrations.js'
import { rebuildFromSidecars } from '../../src/state/rebuild.js'
import { loadStateFiles } from '../../src/state/state-files.js'
import { openStore, type OpenedStore } from '../../src/state/store.js'
import { writeImageSidecar } from '../../src/storage/image-sidecars.js'
import { writeLayerSidecar } from '../../src/storage/layers.js'
import { markDetached, writeSidecar } from '../../src/storage/sidecars.js'
import { createLog } from '../../src/system/log.js'
import { imageRecord, layerRecord, nodeRecord, operationRecord, snapshotRecord } from './fixtures/records.js'

const log = createLog('silent')
// Real files and processes on a machine that may be busy.
jest.setTimeout(120_000)

let layout: Layout
let opened: OpenedStore[]

beforeEach(async () => {
  opened = []
  layout = layoutOf(await mkdtemp(join(tmpdir(), 'store-')))
  await mkdir(layout.overlays)
  await mkdir(layout.images)
})
afterEach(async () => {
  for (const { store } of opened) await store.close()
  await rm(join(layout.state, '..'), { recursive: true })
})

async function open(): Promise<OpenedStore> {
  const one = await openStore({ layout, log })
  opened.push(one)
  return one
}

async function failureOf(work: Promise<unknown>): Promise<SandlabError> {
  try {
    await work
  } catch (error) {
    if (isSandlabError(error)) return error
    throw error
  }
  throw new Error('it succeeded')
}

/** Opens, expects safe mode, frees the lock; gives back the details. */
async function safeMode(): Promise<Record<string, unknown>> {
  const error = await failureOf(openStore({ layout, log }))
  expect(error.code).toBe('safe_mode')
  await release(error)
  const { release: _, ...details } = error.details ?? {}
  return details
}

/** Frees the lock that safe mode keeps. */
async function release(error: SandlabError): Promise<void> {
  const free = error.details?.['release']
  if (typeof free !== 'function') throw new Error('safe mode gave nothing to release')
  await (free as () => Promise<void>)()
}

/** Two commits, so that there is a previous file; one node with its disk and sidecar. */
async function seed(): Promise<{ current: Buffer; previous: Buffer }> {
  const { store } = await openStore({ layout, log })
  const record = nodeRecord(1)
  await writeFile(overlayFile(layout, record.id), 'a disk')
  await writeSidecar(layout, record)
  await store.change((draft) => void draft.nodes.push(record))
  await store.change((draft) => void draft.images.push(imageRecord()))
  await store.close()
  return { current: await readFile(layout.stateFile), previous: await readFile(previousStateFile(layout)) }
}

async function contentOf(folder: string): Promise<Record<string, string>> {
  const names = (await readdir(folder)).filter((name) => name !== 'lock')
  const entries = names.map(async (name) => [name, await readFile(join(folder, name), 'latin1')] as const)
  return Object.fromEntries(await Promise.all(entries))
}

const envelope = (data: unknown, changes: Record<string, unknown> = {}) =>
  JSON.stringify({
    schema: STATE_SCHEMA,
    revision: 5,
    sha256: createHash('sha256').update(JSON.stringify(data)).digest('hex'),
    data,
    ...changes,
  })

describe('a change', () => {
  it('is in memory and on the disk when it is acknowledged, and there after a restart', async () => {
    const { store, loadedFrom } = await open()
    expect([loadedFrom, store.revision, store.data]).toEqual(['new', 0, emptyState()])
    const name = await store.change((draft) => {
      draft.nodes.push(nodeRecord(1))
      return draft.nodes[0]?.name
    })
    expect([name, store.revision, store.data.nodes]).toEqual(['node-1', 1, [nodeRecord(1)]])
    expect((await loadStateFiles(layout)).snapshot).toEqual({ revision: 1, data: store.data })
    await store.close()
    const again = await open()
    expect([again.loadedFrom, again.warning, again.store.revision, again.store.data]).toEqual([
      'current',
      null,
      1,
      store.data,
    ])
  })

  it('changes nothing when it throws, and lets those beside it be', async () => {
    const { store } = await open()
    const results = await Promise.allSettled([
      store.change((draft) => void draft.nodes.push(nodeRecord(1))),
      store.change((draft) => {
        draft.nodes.length = 0
        throw new SandlabError('name_taken', 'no')
      }),
      store.change((draft) => void draft.nodes.push(nodeRecord(2))),
    ])
    expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(store.data.nodes.map((node) => node.name)).toEqual(['node-1', 'node-2'])
    expect(store.revision).toBe(1)
  })

  it.each([
    ['a record that the next start could not read', { ...nodeRecord(1), cpus: 0 }],
    ['a record without its fields', {}],
    ['no record', undefined],
  ])('is refused when it leaves %s', async (_, record) => {
    const { store } = await open()
    const refused = store.change((draft) => void draft.nodes.push(record as never))
    await expect(refused).rejects.toMatchObject({ code: 'internal', message: expect.stringContaining('nodes.0') })
    expect([store.revision, store.data]).toEqual([0, emptyState()])
  })

  it('writes nothing when it changed nothing', async () => {
    const { store } = await open()
    const before = await stat(layout.stateFile)
    expect(await store.change((draft) => draft.nodes.length)).toBe(0)
    expect((await stat(layout.stateFile)).ino).toBe(before.ino)
  })

  it('gives out data that nobody can change', async () => {
    const { store } = await open()
    await store.change((draft) => void draft.nodes.push(nodeRecord(1)))
    expect(() => (store.data.nodes as unknown[]).push(1)).toThrow(TypeError)
    expect(() => (store.data.nodes[0]!.guest.user = 'x')).toThrow(TypeError)
  })

  it('is refused once the store closes; those before it are kept', async () => {
    const { store } = await open()
    const pending = store.change((draft) => void draft.nodes.push(nodeRecord(1)))
    const closing = store.close()
    await expect(store.change(() => undefined)).rejects.toMatchObject({ code: 'starting_up' })
    await Promise.all([pending, closing])
    expect((await open()).store.data.nodes).toHaveLength(1)
  })

  it('takes 500 concurrent ones in order, with few writes', async () => {
    const { store } = await open()
    await store.change((draft) => void draft.nodes.push(...Array.from({ length: 500 }, (_, i) => nodeRecord(i))))
    const seen = await Promise.all(
      Array.from({ length: 500 }, (_, i) =>
        store.change((draft) => {
          const node = draft.nodes[i]
          if (!node) throw new Error('no node')
          node.generation += 1
          draft.nodes[0]!.generation += 1
          return draft.nodes[0]!.generation
        }),
      ),
    )
    expect(seen).toEqual(Array.from({ length: 500 }, (_, i) => i + 2)) // each saw all before it
    expect(store.data.nodes.slice(1).every((node) => node.generation === 1)).toBe(true)
    expect(store.data.nodes[0]?.generation).toBe(501)
    expect(store.revision).toBeLessThanOrEqual(3)
    expect((await loadStateFiles(layout)).snapshot.data).toEqual(store.data)
  })

  it('is refused, not piled up, when ten thousand are waiting', async () => {
    const { store } = await open()
    const all = await Promise.allSettled(Array.from({ length: 10_005 }, () => store.change(() => undefined)))
    const refused = all.filter((one) => one.status === 'rejected')
    expect(refused).toHaveLength(5)
    expect(refused[0]?.reason).toMatchObject({ code: 'too_many_requests' })
  })
})

describe('a state file that can not be trusted', () => {
  const damages: [string, (good: Buffer) => string | Buffer][] = [
    ...Array.from({ length: 10 }, (_, tenth): [string, (good: Buffer) => Buffer] => [
      `cut off at ${tenth} tenths`,
      (good) => good.subarray(0, Math.floor((good.length * tenth) / 10)),
    ]),
    ['null', () => 'null'],
    ['[]', () => '[]'],
    ['5', () => '5'],
    ['zeros', (good) => Buffer.alloc(good.length)],
    ['an envelope with the wrong checksum', (good) => good.toString().replace(/"sha256":"./, '"sha256":"g')],
    ['changed in one figure', (good) => good.toString().replace('"cpus":1', '"cpus":2')],
    ['data alone', () => JSON.stringify(emptyState())],
    [
      'an empty state with a right checksum and no nodes list',
      () => envelope({ images: [], layers: [], operations: [] }),
    ],
  ]

  it.each(damages)('that is %s gives way to the last good one, and is kept', async (_, damage) => {
    const { current, previous } = await seed()
    const damaged = Buffer.from(damage(current))
    await writeFile(layout.stateFile, damaged)
    const { store, loadedFrom, warning } = await open()
    expect(loadedFrom).toBe('previous')
    expect(warning).toMatch(/was damaged \(.*\) and is kept as nodes-state\.json\.damaged-/)
    expect([store.data.nodes, store.data.images]).toEqual([[nodeRecord(1)], []])
    await store.change((draft) => void draft.nodes.push(nodeRecord(2)))
    const files = await contentOf(layout.state)
    const aside = Object.keys(files).filter((name) => name.includes('.damaged-'))
    expect(aside).toHaveLength(1)
    expect(files[aside[0] ?? '']).toBe(damaged.toString('latin1'))
    expect(files['nodes-state.json.prev']).toBe(previous.toString('latin1'))
    await store.close()
    expect(await open()).toMatchObject({ loadedFrom: 'current', warning: null, store: { revision: store.revision } })
  })

  it.each(damages)(
    'that is %s, without a last good one, means safe mode, and nothing is written',
    async (_, damage) => {
      const { current } = await seed()
      await writeFile(layout.stateFile, damage(current))
      await writeFile(previousStateFile(layout), damage(current))
      const before = { state: await contentOf(layout.state), overlays: await contentOf(layout.overlays) }
      expect(await safeMode()).toMatchObject({
        candidates: 1,
        overlays: 1,
        reason: expect.stringContaining('its last good copy'),
      })
      await rm(previousStateFile(layout))
      expect(await safeMode()).toMatchObject({ candidates: 1 })
      const { 'nodes-state.json.prev': _gone, ...left } = before.state
      expect({ state: await contentOf(layout.state), overlays: await contentOf(layout.overlays) }).toEqual({
        ...before,
        state: left,
      })
    },
  )

  it('keeps the lock in safe mode until it is released', async () => {
    const { current } = await seed()
    await writeFile(layout.stateFile, 'null')
    await writeFile(previousStateFile(layout), current.subarray(0, 100))
    const error = await failureOf(openStore({ layout, log }))
    expect(await failureOf(lockState(layout))).toMatchObject({ code: 'state_locked' })
    await release(error)
    const unlock = await lockState(layout)
    unlock()
  })

  it.each(['nodes-state.json', 'nodes-state.json.prev'])('is refused when %s is of a newer schema', async (name) => {
    const { current } = await seed()
    await writeFile(layout.stateFile, 'null')
    await writeFile(join(layout.state, name), current.toString().replace(`"schema":${STATE_SCHEMA}`, '"schema":99'))
    const before = await contentOf(layout.state)
    const error = await failureOf(openStore({ layout, log }))
    expect([error.code, ERROR_CODES[error.code].exit]).toEqual(['state_newer', 78])
    expect(error.details).toMatchObject({ schema: 99, known: STATE_SCHEMA })
    expect(await contentOf(layout.state)).toEqual(before)
  })

  it('that is missing gives way to the last good one', async () => {
    await seed()
    await rm(layout.stateFile)
    expect(await open()).toMatchObject({ loadedFrom: 'previous', warning: expect.stringContaining('was missing') })
  })

  it.each([
    ['disks', async () => rm(join(layout.overlays, `node_${nodeRecord(1).id}.json`))],
    ['records beside them', async () => rm(overlayFile(layout, nodeRecord(1).id))],
  ])('that is missing while there are %s is no empty start', async (_, leaveOnly) => {
    await seed()
    await leaveOnly()
    await rm(layout.stateFile)
    await rm(previousStateFile(layout))
    expect(await safeMode()).toMatchObject({ reason: expect.stringContaining('it is missing') })
    expect(await readdir(layout.state)).toEqual(['lock'])
  })

  it('that is missing while there are only base images starts with these', async () => {
    await writeImageSidecar(layout, imageRecord('debian-12'))
    const { store, loadedFrom, warning } = await open()
    expect([loadedFrom, store.data]).toEqual(['new', { ...emptyState(), images: [imageRecord('debian-12')] }])
    expect(warning).toContain('1 base image')
  })

  it('that the system refuses to read is told apart from a damaged one', async () => {
    await seed()
    await rm(layout.stateFile)
    await mkdir(layout.stateFile)
    expect(await failureOf(openStore({ layout, log }))).toMatchObject({
      code: 'state_unreadable',
      details: { errno: 'EISDIR' },
    })
  })

  it('of an older schema is migrated after a backup of it', async () => {
    const old = envelope({ machines: ['a'] }, { schema: 0 })
    await mkdir(layout.state)
    await writeFile(layout.stateFile, old)
    const first = { from: 0, title: 'first', apply: () => ({ nodes: [nodeRecord(1)], images: [], operations: [] }) }
    const migrations = [first, ...MIGRATIONS]
    const loaded = await loadStateFiles(layout, migrations)
    expect(loaded).toMatchObject({ from: 'current', snapshot: { revision: 5, data: { nodes: [nodeRecord(1)] } } })
    const files = await contentOf(layout.state)
    const backup = Object.keys(files).find((name) => name.startsWith('nodes-state.json.schema-0-'))
    expect(files[backup ?? '']).toBe(old)
    expect((await open()).store.data.nodes).toEqual([nodeRecord(1)])
  })

  it('of schema 1, from before there were layers, keeps its nodes and operations', async () => {
    const { backing: _, ...node } = nodeRecord(1)
    const { outcome: _o, resources: _r, items: _i, request: _q, ...operation } = operationRecord(1)
    await mkdir(layout.state)
    await writeFile(layout.stateFile, envelope({ nodes: [node], images: [], operations: [operation] }, { schema: 1 }))
    expect((await open()).store.data).toEqual({
      ...emptyState(),
      nodes: [nodeRecord(1)],
      operations: [operationRecord(1)],
    })
  })

  it('of an older schema that no migration understands is kept, in safe mode', async () => {
    await mkdir(layout.state)
    await writeFile(layout.stateFile, envelope({}, { schema: 0 }))
    expect(await safeMode()).toMatchObject({ reason: expect.stringContaining('no way from schema 0') })
    expect(await readFile(layout.stateFile, 'utf8')).toBe(envelope({}, { schema: 0 }))
  })
})

describe('rebuildFromSidecars', () => {
  it('brings back the nodes and images that have their records, and keeps what was damaged', async () => {
    await seed()
    await writeSidecar(layout, nodeRecord(2))
    await markDetached(layout, nodeRecord(3))
    await writeFile(join(layout.overlays, `node_${nodeRecord(4).id}.json`), 'broken')
    await writeFile(overlayFile(layout, nodeRecord(5).id), 'a disk without a record')
    await writeImageSidecar(layout, imageRecord())
    await writeFile(layout.stateFile, '[]')
    await writeFile(previousStateFile(layout), 'null')

    const error = await failureOf(openStore({ layout, log })) // in safe mode, holding the lock
    const report = await rebuildFromSidecars(layout)
    expect(report).toMatchObject({ nodes: 2, images: 1, detached: 1, overlaysWithoutRecord: 1 })
    expect(report.unreadable.map(({ file }) => basename(file))).toEqual([`node_${nodeRecord(4).id}.json`])
    expect(await Promise.all(report.movedAside.map((file) => readFile(file, 'utf8')))).toEqual(['[]', 'null'])
    await release(error)

    const { store, loadedFrom } = await open()
    expect(loadedFrom).toBe('current')
    expect(store.data.nodes.map((node) => node.name).toSorted()).toEqual(['node-1', 'node-2'])
    expect(store.data.images).toEqual([imageRecord()])
  })

  it('brings back layers and snapshots of nodes that are there; what a delete has spared stays an orphan', async () => {
    const [kept, gone] = [nodeRecord(2), nodeRecord(3)]
    const below = layerRecord(1, kept.id)
    const above = layerRecord(2, kept.id, { backing: { kind: 'layer', layerId: below.id } })
    const spared = layerRecord(3, gone.id)
    const shared = layerRecord(4, gone.id) // under a disk that was kept when its node was deleted
    await writeSidecar(layout, kept)
    await markDetached(layout, { ...nodeRecord(4), backing: { kind: 'layer', layerId: shared.id } })
    for (const [layer, number] of [[above, 1] as const, [spared, 2] as const]) {
      const snapshots = [snapshotRecord(number, layer)]
      await writeLayerSidecar(layout, layer, { nodeName: 'web', snapshots })
    }
    for (const layer of [below, shared]) await writeLayerSidecar(layout, layer, { nodeName: 'web', snapshots: [] })
    const error = await failureOf(openStore({ layout, log }))
    await rebuildFromSidecars(layout)
    await release(error)

    const { data } = (await open()).store
    expect(data.snapshots.map(({ name }) => name)).toEqual(['snapshot-1'])
    const ids = data.layers.map(({ id }) => id)
    expect(ids.toSorted()).toEqual([below.id, above.id, shared.id].toSorted())
  })

  it('refuses while the state can be read or a backend uses it, and then changes nothing', async () => {
    await seed()
    const before = await contentOf(layout.state)
    expect(await failureOf(rebuildFromSidecars(layout))).toMatchObject({ code: 'wrong_status' })
    const { store } = await open()
    expect(await failureOf(rebuildFromSidecars(layout))).toMatchObject({ code: 'state_locked' })
    await store.close()
    expect(await contentOf(layout.state)).toEqual(before)
  })

  it('can be repeated when it was killed between moving the old files and writing the new one', async () => {
    await seed()
    await rm(layout.stateFile)
    await rm(previousStateFile(layout))
    await safeMode()
    expect(await rebuildFromSidecars(layout)).toMatchObject({ nodes: 1, movedAside: [] })
    expect((await open()).store.data.nodes).toEqual([nodeRecord(1)])
  })
})

it('keeps finished operations with the state', async () => {
  const { store } = await open()
  await store.change((draft) => void draft.operations.push(operationRecord(1)))
  await store.close()
  expect((await open()).store.data.operations).toEqual([operationRecord(1)])
})
