import { access, mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import {
  layerFile,
  overlayFile,
  sidecarFile,
  trashDir,
  trashEntryFile,
  uefiVariablesFile,
} from '../../src/domain/layout.js'
import type { Operation } from '../../src/domain/operation.js'
import { purgeDue } from '../../src/disks/trash/trash-purge.js'
import { readLayerSidecars } from '../../src/state/sidecar-records.js'
import { sweepOverlayStaging } from '../../src/storage/overlays.js'
import { listTrash } from '../../src/storage/trash-store.js'
import { addTestImage, startTestLab, type Person, type TestLab } from '../support/lab.js'
import { checkDisk, readsAs, writeDisk } from '../support/disks.js'
import { untilSeen } from '../support/until.js'

jest.setTimeout(120_000)

let lab: TestLab
let teacher: Person
let student: Person
let admin: Person

const parts = () => lab.backend.services.lab!
const layout = () => lab.backend.services.config.layout
const data = () => parts().store.data
const record = (id: string) => data().nodes.find((node) => node.id === id)
const disk = (id: string) => overlayFile(layout(), id)
const isThere = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  )

beforeAll(async () => {
  lab = await startTestLab()
  await addTestImage(layout(), parts().store)
  teacher = await lab.person('instructor')
  student = await lab.person('student')
  admin = await lab.person('administrator')
}, 60_000)
afterAll(() => lab?.close())

let count = 0
const fresh = (stem = 'n') => `${stem}${(count += 1)}`

/** A stopped node whose guest has written to its disk. */
async function usedNode(who = teacher, name = fresh(), byte = 7) {
  const { body } = await who.send('POST', '/api/nodes', { name, image: 'empty' })
  await writeDisk(layout(), body.node.id, byte)
  return body.node as { id: string; name: string; mac: string }
}

async function ended(answer: { status: number; body: { operation: Operation } }): Promise<Operation> {
  if (answer.status !== 202) throw new Error(JSON.stringify(answer.body))
  const look = () => parts().operations.get(answer.body.operation.id)
  const operation = await untilSeen('the operation to end', async () => look()?.state !== 'running' && look()!, 60_000)
  if (operation.error) throw new Error(operation.error.message)
  return operation
}

const snapshot = async (id: string, name: string) =>
  ended(await teacher.send('POST', `/api/nodes/${id}/snapshots`, { name }))
const remove = async (id: string, query = 'deleteStorage=true', who = teacher) => {
  const answer = await who.send('DELETE', `/api/nodes/${id}?${query}`)
  if (answer.status !== 204) throw new Error(JSON.stringify(answer.body))
}
const planOf = async (id: string, query: string) =>
  (await teacher.send('DELETE', `/api/nodes/${id}?dryRun=true&${query}`)).body.plan
const entryOf = async (id: string) => (await listTrash(layout())).find(({ node }) => node?.id === id)!
const restore = (entryId: string, body: object = {}, who = teacher) =>
  who.send('POST', `/api/trash/${entryId}/restore`, body)
const trash = async (who = teacher) => (await who.send('GET', '/api/trash')).body

describe('a delete with its storage', () => {
  it('moves everything of the node to the trash as one entry, and a restore brings all of it back', async () => {
    const node = await usedNode()
    await teacher.send('POST', `/api/nodes/${node.id}/drives`, { id: 'data' })
    await snapshot(node.id, 'first')
    await writeDisk(layout(), node.id, 9)
    await writeFile(uefiVariablesFile(layout(), node.id), 'variables')
    const before = { record: record(node.id)!, layers: data().layers.filter(({ nodeId }) => nodeId === node.id) }
    expect(before.layers).toHaveLength(2)
    const plan = await planOf(node.id, 'deleteStorage=true')
    const planned = plan.files.filter(({ fate }: { fate: string }) => fate === 'moves to the trash')
    await remove(node.id)
    const entry = await entryOf(node.id)
    const lying = (await readdir(`${trashDir(layout())}/${entry.id}`)).filter((name) => name !== 'entry.json')
    expect(lying.map((name) => `/overlays/${name}`).toSorted()).toEqual(
      planned.map(({ path }: { path: string }) => path).toSorted(),
    )
    expect(plan.files).toHaveLength(planned.length)
    expect(data().layers.filter(({ nodeId }) => nodeId === node.id)).toEqual([])
    expect(data().snapshots.filter(({ nodeId }) => nodeId === node.id)).toEqual([])

    const shown = (await trash()).entries.find(({ id }: { id: string }) => id === entry.id)
    expect(shown).toMatchObject({
      reason: 'deleted',
      title: `node ${node.name}`,
      nodeName: node.name,
      ownerLogin: teacher.login,
      actorLogin: teacher.login,
      refusal: null,
    })
    expect(Date.parse(shown.purgedAt) - Date.parse(shown.at)).toBe(7 * 24 * 3600 * 1000)
    expect(shown.usedBytes).toBeGreaterThan(2 * 64 * 1024)

    await ended(await restore(entry.id))
    const { id, name, mac, backing, drives, guest } = before.record
    expect(record(node.id)).toMatchObject({ id, name, mac, backing, drives, guest, desired: 'stopped' })
    expect(record(node.id)?.events[0]?.text).toMatch(/^Brought back from the trash/)
    expect(data().layers).toEqual(expect.arrayContaining(before.layers))
    expect(
      data()
        .snapshots.filter(({ nodeId }) => nodeId === node.id)
        .map(({ name: one }) => one),
    ).toEqual(['first'])
    expect(await readsAs(disk(node.id), 9)).toBe(true)
    await checkDisk(disk(node.id))
    expect(await isThere(uefiVariablesFile(layout(), node.id))).toBe(true)
    expect(await isThere(sidecarFile(layout(), node.id))).toBe(true)
    expect(await isThere(`${trashDir(layout())}/${entry.id}`)).toBe(false)
    expect((await teacher.send('POST', `/api/nodes/${node.id}/start`)).status).toBe(200)
    await teacher.send('POST', `/api/nodes/${node.id}/stop`, { now: true })
    const back = await teacher.send('POST', `/api/nodes/${node.id}/reset`, { snapshot: 'first' })
    await ended(back)
    expect(await readsAs(disk(node.id), 7)).toBe(true)
  })

  it('can be undone from its operation', async () => {
    const node = await usedNode()
    await remove(node.id)
    const deletion = parts()
      .operations.list()
      .find(({ target }) => target?.id === node.id)!
    expect(deletion.kind).toBe('node.delete')
    const { plan } = (await teacher.send('POST', `/api/operations/${deletion.id}/undo?dryRun=true`)).body
    expect(plan).toMatchObject({ creates: [{ type: 'node', name: node.name }], refusal: null })
    const undone = await ended(await teacher.send('POST', `/api/operations/${deletion.id}/undo`))
    expect(undone.title).toBe(`Undo: Delete ${node.name}`)
    expect(await readsAs(disk(node.id), 7)).toBe(true)
    const { entries } = (await admin.send('GET', '/api/audit?action=operation.undo')).body
    expect(entries[0]).toMatchObject({ objectName: `Delete ${node.name}`, result: 'success' })
  })

  it('leaves layers that others stand on, and says which do', async () => {
    const node = await usedNode()
    const cloned = await ended(await teacher.send('POST', `/api/nodes/${node.id}/clone`, { name: fresh() }))
    const clone = cloned.items[0]!
    const layer = data().layers.find(({ nodeId }) => nodeId === node.id)!
    const plan = await planOf(node.id, 'deleteStorage=true')
    expect(plan.files).toContainEqual(
      expect.objectContaining({ path: `/overlays/${layer.file}`, fate: `stays: ${clone.name} stands on it` }),
    )
    await remove(node.id)
    expect(data().layers).toContainEqual(layer)
    expect(await readsAs(disk(clone.id!), 7)).toBe(true)
    await remove(clone.id!)
    expect(data().layers).not.toContainEqual(layer)
    const first = await entryOf(node.id)
    const refused = await restore(first.id)
    expect(refused.body.error).toMatchObject({
      code: 'chain_broken',
      hint: expect.stringContaining('Bring back first'),
    })
    await ended(await restore((await entryOf(clone.id!)).id))
    await ended(await restore(first.id))
    expect(await readsAs(disk(node.id), 7)).toBe(true)
  })

  it('spares the snapshots when asked: their layers stay as files that tell their names', async () => {
    const node = await usedNode()
    await snapshot(node.id, 'one')
    await writeDisk(layout(), node.id, 8)
    await snapshot(node.id, 'two')
    await writeDisk(layout(), node.id, 9)
    const kept = data().layers.filter(({ nodeId }) => nodeId === node.id)
    const plan = await planOf(node.id, 'deleteStorage=true&keepSnapshots=true')
    const fates = plan.files.filter(({ path }: { path: string }) => path.includes('layer_'))
    expect(fates.map(({ fate }: { fate: string }) => fate)).toEqual([
      'stays as a file: the snapshot one',
      'stays as a file: the snapshot one',
      'stays as a file: the snapshot two',
      'stays as a file: the snapshot two',
    ])
    await remove(node.id, 'deleteStorage=true&keepSnapshots=true')
    expect(data().layers.filter(({ nodeId }) => nodeId === node.id)).toEqual([])
    expect(data().snapshots.filter(({ nodeId }) => nodeId === node.id)).toEqual([])
    expect(await isThere(disk(node.id))).toBe(false)
    const beside = await readLayerSidecars(layout())
    for (const layer of kept) expect(beside.found).toContainEqual(layer)
    expect(beside.snapshots.filter(({ nodeId }) => nodeId === node.id).map(({ name }) => name)).toEqual(
      expect.arrayContaining(['one', 'two']),
    )
    expect(await readsAs(layerFile(layout(), kept[1]!.id), 8)).toBe(true)
    // And with the node its snapshots are snapshots again.
    await ended(await restore((await entryOf(node.id)).id))
    expect(data().snapshots.filter(({ nodeId }) => nodeId === node.id)).toHaveLength(2)
    expect(await readsAs(disk(node.id), 9)).toBe(true)
  })

  it('never touches a file of somebody’s own, and says so', async () => {
    const node = await usedNode()
    const file = `${lab.dataDir}/own.raw`
    await writeFile(file, 'mine'.repeat(300_000))
    await parts().store.change((draft) => {
      const drive = { readOnly: false, cache: 'writeback', io: 'threads', changedAt: null } as const
      const limits = {
        bytesPerSecond: null,
        operationsPerSecond: null,
        burstBytesPerSecond: null,
        burstOperationsPerSecond: null,
      }
      const sizes = { sizeBytes: 1_200_000, backing: { kind: 'none' }, createdAt: '2026-11-21T08:00:00.000Z' } as const
      const own = { ...drive, ...sizes, limits, id: 'own', source: 'file', file, format: 'raw' } as const
      draft.nodes.find(({ id }) => id === node.id)!.drives = [own]
    })
    const plan = await planOf(node.id, 'deleteStorage=true')
    expect(plan.files).toContainEqual(
      expect.objectContaining({ path: file, fate: 'is not touched: it is a file of your own' }),
    )
    expect(plan.warnings).toEqual([`Files of your own are not touched: ${file}.`])
    await remove(node.id)
    expect((await stat(file)).size).toBe(1_200_000)
  })

  it('of a running node is refused with what to do', async () => {
    const node = await usedNode()
    await teacher.send('POST', `/api/nodes/${node.id}/start`)
    const refused = await teacher.send('DELETE', `/api/nodes/${node.id}?deleteStorage=true`)
    expect(refused.status).toBe(409)
    expect(refused.body.error.message).toMatch(/while it is running\. Stop it first\.$/)
    await teacher.send('POST', `/api/nodes/${node.id}/stop`, { now: true })
  })

  it('moves a node that a clone replaces, with its snapshots, as an entry that can be restored', async () => {
    const [source, old] = [await usedNode(), await usedNode(teacher, fresh(), 5)]
    await snapshot(old.id, 'mine')
    await ended(await teacher.send('POST', `/api/nodes/${source.id}/clone`, { name: old.name, force: true }))
    const entry = await entryOf(old.id)
    expect(entry).toMatchObject({ reason: 'replaced', snapshots: [{ name: 'mine' }], layers: [{ nodeId: old.id }] })
    expect((await restore(entry.id)).body.error.code).toBe('name_taken')
    const shown = (await trash()).entries.find(({ id }: { id: string }) => id === entry.id)
    expect(shown.refusal).toMatch(/already exists/)
    await ended(await restore(entry.id, { name: 'as-before' }))
    expect(record(old.id)).toMatchObject({ name: 'as-before' })
    expect(await readsAs(disk(old.id), 5)).toBe(true)
  })
})

describe('the trash', () => {
  it('shows and gives to each only what is theirs', async () => {
    const [mine, foreign] = [await usedNode(student), await usedNode()]
    await remove(mine.id, 'deleteStorage=true', student)
    await remove(foreign.id)
    const names = async (who: Person) =>
      (await trash(who)).entries.map(({ nodeName }: { nodeName: string }) => nodeName)
    expect(await names(student)).toEqual([mine.name])
    expect(await names(teacher)).toEqual(expect.arrayContaining([mine.name, foreign.name]))
    const entry = await entryOf(foreign.id)
    expect((await restore(entry.id, {}, student)).status).toBe(404)
    expect((await student.send('DELETE', `/api/trash/${entry.id}`)).status).toBe(404)
    await ended(await restore((await entryOf(mine.id)).id, {}, student))
    expect(record(mine.id)?.ownerId).toBe(student.id)
  })

  it('tells why a node can’t come back: its base image is gone', async () => {
    await addTestImage(layout(), parts().store, 'leaving')
    const { body } = await teacher.send('POST', '/api/nodes', { name: fresh(), image: 'leaving' })
    await remove(body.node.id)
    expect((await teacher.send('DELETE', '/api/images/leaving')).status).toBe(204)
    const entry = await entryOf(body.node.id)
    expect((await restore(entry.id)).body.error).toMatchObject({ code: 'base_missing' })
    const shown = (await trash()).entries.find(({ id }: { id: string }) => id === entry.id)
    expect(shown.refusal).toMatch(/^The base image leaving of \S+ is gone\. Put the image back first\.$/)
  })

  it('gives a node whose owner has no account any more to the one who brings it back', async () => {
    const node = await usedNode()
    await remove(node.id)
    const entry = await entryOf(node.id)
    const gone = '99999999-9999-4999-8999-999999999999'
    const orphaned = { ...entry, ownerId: gone, node: { ...entry.node, ownerId: gone } }
    await writeFile(trashEntryFile(layout(), entry.id), JSON.stringify(orphaned))
    expect((await restore(entry.id)).status).toBe(404) // an instructor's students are known
    await ended(await restore(entry.id, {}, admin))
    expect(record(node.id)?.ownerId).toBe(admin.id)
  })

  it('brings all files back or none: another file in the place of one refuses it', async () => {
    const node = await usedNode()
    await remove(node.id)
    const entry = await entryOf(node.id)
    await writeFile(sidecarFile(layout(), node.id), 'a stranger')
    expect((await restore(entry.id)).body.error.code).toBe('storage_in_use')
    expect(await isThere(disk(node.id))).toBe(false)
    await rm(sidecarFile(layout(), node.id))
    await ended(await restore(entry.id))
    expect(await readsAs(disk(node.id), 7)).toBe(true)
  })

  it('lists and restores a folder from before there were entries', async () => {
    const node = await usedNode()
    await remove(node.id)
    const entry = await entryOf(node.id)
    await rm(trashEntryFile(layout(), entry.id))
    const bare = `${trashDir(layout())}/2026-01-01T00-00-00.000Z_bare`
    await mkdir(bare)
    await writeFile(`${bare}/something.qcow2`, 'x')
    const { entries } = await trash(admin)
    expect(entries.find(({ id }: { id: string }) => id === '2026-01-01T00-00-00.000Z_bare')).toMatchObject({
      nodeName: null,
      refusal: 'There is no record of what this was: it can be looked at, and purged.',
    })
    await ended(await restore(entry.id))
    expect(record(node.id)?.name).toBe(node.name)
    expect(await readsAs(disk(node.id), 7)).toBe(true)
    expect((await admin.send('DELETE', '/api/trash/2026-01-01T00-00-00.000Z_bare')).status).toBe(204)
    expect(await isThere(bare)).toBe(false)
  })

  it('is purged by id, by age and after the retention, and a half-purged one by the next start', async () => {
    const nodes = [await usedNode(), await usedNode(), await usedNode()]
    for (const { id } of nodes) await remove(id)
    const [one, two, three] = await Promise.all(nodes.map(({ id }) => entryOf(id)))
    const { plan } = (await teacher.send('DELETE', `/api/trash/${one!.id}?dryRun=true`)).body
    expect(plan).toMatchObject({ kind: 'trash.purge', replaces: [{ fate: 'removed for good' }] })
    expect((await teacher.send('DELETE', `/api/trash/${one!.id}`)).status).toBe(204)
    expect((await teacher.send('DELETE', `/api/trash/${one!.id}`)).status).toBe(404)
    const nothing = await ended(await teacher.send('POST', '/api/trash/purge', { olderThanDays: 1 }))
    expect(nothing.items).toEqual([])
    const later = new Date(Date.now() + 7 * 24 * 3600 * 1000 + 1000)
    await rename(`${trashDir(layout())}/${two!.id}`, `${trashDir(layout())}/.going_${two!.id}`)
    await purgeDue(parts().nodes.context, new Date())
    expect(await isThere(`${trashDir(layout())}/${three!.id}`)).toBe(true)
    await purgeDue(parts().nodes.context, later)
    expect(await isThere(`${trashDir(layout())}/${three!.id}`)).toBe(false)
    await sweepOverlayStaging(layout())
    expect((await readdir(trashDir(layout()))).filter((name) => name.includes(two!.id))).toEqual([])
    const last = await usedNode()
    await remove(last.id)
    await ended(await teacher.send('POST', '/api/trash/purge'))
    expect((await trash()).entries).toEqual([])
  })
})

describe('the lab’s settings', () => {
  it('are read by everybody and changed by administrators, audited; what is absent stays', async () => {
    const { settings } = (await student.send('GET', '/api/settings')).body
    expect(settings).toMatchObject({ trashDays: 7, verifyHour: 3 })
    expect((await teacher.send('PATCH', '/api/settings', { trashDays: 1 })).status).toBe(403)
    expect((await admin.send('PATCH', '/api/settings', { trashDays: -1 })).status).toBe(400)
    expect((await admin.send('PATCH', '/api/settings', { nonsense: 1 })).status).toBe(400)
    const changed = await admin.send('PATCH', '/api/settings', { trashDays: null })
    expect(changed.body.settings).toMatchObject({ trashDays: null, verifyHour: 3 })
    const node = await usedNode()
    await remove(node.id)
    expect((await trash()).retentionDays).toBeNull()
    expect((await trash()).entries[0]).toMatchObject({ purgedAt: null })
    expect(await purgeDue(parts().nodes.context, new Date(Date.now() + 1e12))).toBe(0)
    await admin.send('PATCH', '/api/settings', { trashDays: 0, verifyHour: 5 })
    expect(await purgeDue(parts().nodes.context, new Date())).toBe(1)
    const kept = (await admin.send('PATCH', '/api/settings', { trashDays: 7 })).body.settings
    expect(kept).toMatchObject({ trashDays: 7, verifyHour: 5 })
    const { entries } = (await admin.send('GET', '/api/audit?action=settings.update')).body
    expect(entries[0]).toMatchObject({ actorLogin: admin.login, details: { trashDays: 7 } })
  })
})
