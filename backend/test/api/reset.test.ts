import { chown, rm, stat } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { overlayFile } from '../../src/domain/layout.js'
import type { Operation } from '../../src/domain/operation.js'
import { EngineError } from '../../src/hosts/engine.js'
import { listTrash } from '../../src/storage/trash-store.js'
import { addTestImage, startTestLab, type Person, type TestLab } from '../support/lab.js'
import { chainLength, readsAs, writeDisk } from '../support/disks.js'
import { untilSeen } from '../support/until.js'

jest.setTimeout(120_000)

let lab: TestLab
let teacher: Person
let student: Person

const parts = () => lab.backend.services.lab!
const layout = () => lab.backend.services.config.layout
const record = (id: string) => parts().store.data.nodes.find((node) => node.id === id)!
const disk = (id: string) => overlayFile(layout(), id)
const status = (id: string) => parts().nodes.get(id).status

beforeAll(async () => {
  lab = await startTestLab()
  await addTestImage(layout(), parts().store)
  teacher = await lab.person('instructor')
  student = await lab.person('student')
}, 60_000)
afterAll(() => lab?.close())

let count = 0
const fresh = (stem = 'n') => `${stem}${(count += 1)}`

/** A stopped node whose guest has written to its disk. */
async function usedNode(name = fresh(), who = teacher, byte = 7) {
  const { body } = await who.send('POST', '/api/nodes', { name, image: 'empty' })
  await writeDisk(layout(), body.node.id, byte)
  return body.node as { id: string; name: string; mac: string }
}

async function ended(answer: { status: number; body: { operation: Operation } }): Promise<Operation> {
  if (answer.status !== 202) throw new Error(JSON.stringify(answer.body))
  const look = () => parts().operations.get(answer.body.operation.id)
  return untilSeen('the operation to end', async () => look()?.state !== 'running' && look()!, 60_000)
}

const reset = (id: string, body: object = {}, headers = {}, who = teacher) =>
  who.send('POST', `/api/nodes/${id}/reset`, body, headers)
const undo = async (operation: Operation, who = teacher) => who.send('POST', `/api/operations/${operation.id}/undo`)
const entriesOf = async (operation: Operation) =>
  (await listTrash(layout())).filter(({ operationId }) => operationId === operation.id)

describe('a reset', () => {
  it('gives a stopped node an empty disk over its base, and keeps the old one in the trash', async () => {
    const node = await usedNode()
    const [before, { ino }] = [record(node.id), await stat(disk(node.id))]
    const operation = await ended(await reset(node.id))
    expect(operation).toMatchObject({ kind: 'node.reset', title: `Reset ${node.name}`, state: 'succeeded' })
    expect(await readsAs(disk(node.id), 0)).toBe(true)
    expect(await chainLength(disk(node.id))).toBe(2)
    const [entry] = await entriesOf(operation)
    expect(entry).toMatchObject({ reason: 'reset', node: { id: node.id }, layers: [], actorLogin: teacher.login })
    expect((await stat(`${layout().overlays}/.trash/${entry?.id}/node_${node.id}.qcow2`)).ino).toBe(ino)
    const { name, mac, cpus, diskBytes, guest } = before
    expect(record(node.id)).toMatchObject({ name, mac, cpus, diskBytes, guest, backing: { kind: 'image' } })
    expect(record(node.id).events[0]?.text).toMatch(/^Reset to its base image\. What was on its disk is in the trash/)
    expect((await teacher.send('POST', `/api/nodes/${node.id}/start`)).status).toBe(200)
    await teacher.send('POST', `/api/nodes/${node.id}/stop`, { now: true })
  })

  it('keeps the user of the disk, whose further drives belong to it', async () => {
    const node = await usedNode()
    await chown(disk(node.id), 64_321, 64_321)
    await ended(await reset(node.id))
    expect(await stat(disk(node.id))).toMatchObject({ uid: 64_321, gid: 64_321 })
  })

  it('is undone: the disk is as it was, and that can be undone as well', async () => {
    const node = await usedNode()
    const first = await ended(await reset(node.id))
    await writeDisk(layout(), node.id, 9)
    const back = await ended(await undo(first))
    expect(back).toMatchObject({ kind: 'trash.restore', title: `Undo: Reset ${node.name}`, state: 'succeeded' })
    expect(await readsAs(disk(node.id), 7)).toBe(true)
    expect(await entriesOf(first)).toEqual([])
    expect(record(node.id).events[0]?.text).toBe(`Undo: Reset ${node.name}.`)
    const again = await ended(await undo(back))
    expect(again.title).toBe(`Redo: Reset ${node.name}`)
    expect(await readsAs(disk(node.id), 9)).toBe(true)
    expect((await undo(first)).body.error).toMatchObject({ code: 'not_found' })
  })

  it('of a running node asks its guest to stop, and starts it again', async () => {
    const node = await usedNode()
    await teacher.send('POST', `/api/nodes/${node.id}/start`)
    const plan = (await teacher.send('POST', `/api/nodes/${node.id}/reset?dryRun=true`)).body.plan
    expect(plan.warnings).toEqual([`Shut down first, and started again: ${node.name}.`])
    const operation = await ended(await reset(node.id))
    expect(operation.state).toBe('succeeded')
    expect(record(node.id).lastExit).toMatchObject({ how: 'asked' })
    expect(status(node.id)).toBe('running')
    expect(await readsAs(disk(node.id), 0)).toBe(true)
    await ended(await undo(operation))
    expect(status(node.id)).toBe('running')
    expect(await readsAs(disk(node.id), 7)).toBe(true)
    await teacher.send('POST', `/api/nodes/${node.id}/stop`, { now: true })
  })

  it('to a snapshot stands on its layer, and the snapshot stays', async () => {
    const node = await usedNode()
    const taken = await teacher.send('POST', `/api/nodes/${node.id}/snapshots`, { name: 'good' })
    expect((await ended(taken)).state).toBe('succeeded')
    await writeDisk(layout(), node.id, 8)
    expect((await reset(node.id, { snapshot: 'none' })).body.error).toMatchObject({
      code: 'not_found',
      hint: 'It has good.',
    })
    await ended(await reset(node.id, { snapshot: 'good' }))
    expect(await readsAs(disk(node.id), 7)).toBe(true)
    expect(record(node.id).backing.kind).toBe('layer')
    const toBase = await ended(await reset(node.id))
    expect(await readsAs(disk(node.id), 0)).toBe(true)
    expect(parts().store.data.snapshots.filter(({ nodeId }) => nodeId === node.id)).toHaveLength(1)
    await ended(await undo(toBase))
    expect(await readsAs(disk(node.id), 7)).toBe(true)
  })

  it('takes along a layer that nothing needs any more, and an undo brings it back', async () => {
    const node = await usedNode()
    const clone = await ended(await teacher.send('POST', `/api/nodes/${node.id}/clone`, { name: fresh() }))
    await teacher.send('DELETE', `/api/nodes/${clone.items[0]!.id}?deleteStorage=true`)
    const layer = parts().store.data.layers.find(({ nodeId }) => nodeId === node.id)!
    const operation = await ended(await reset(node.id))
    expect(parts().store.data.layers).not.toContainEqual(layer)
    expect((await entriesOf(operation))[0]?.layers).toEqual([layer])
    await ended(await undo(operation))
    expect(parts().store.data.layers).toContainEqual(layer)
    expect(await readsAs(disk(node.id), 7)).toBe(true)
    expect((await teacher.send('POST', `/api/nodes/${node.id}/start`)).status).toBe(200)
    await teacher.send('POST', `/api/nodes/${node.id}/stop`, { now: true })
  })

  it('mends a node whose disk is missing', async () => {
    const node = await usedNode()
    await rm(disk(node.id))
    expect((await teacher.send('POST', `/api/nodes/${node.id}/start`)).body.error.code).toBe('node_broken')
    expect((await ended(await reset(node.id))).state).toBe('succeeded')
    expect(status(node.id)).toBe('stopped')
  })

  it('says beforehand what is lost, and that further drives stay', async () => {
    const node = await usedNode()
    const added = await teacher.send('POST', `/api/nodes/${node.id}/drives`, { id: 'data' })
    expect(added.status).toBe(201)
    const { plan } = (await teacher.send('POST', `/api/nodes/${node.id}/reset?dryRun=true`)).body
    expect(plan).toMatchObject({
      kind: 'node.reset',
      refusal: null,
      warnings: [`Further drives stay as they are, with what is on them: ${node.name}.`],
      replaces: [
        { type: 'disk', id: node.id, fate: expect.stringMatching(/^moves to the trash, last written \d{4}-/) },
      ],
    })
    expect(plan.replaces[0].bytes).toBeGreaterThan(64 * 1024)
    expect(plan.files.map(({ fate }: { fate: string }) => fate)).toEqual(['moves to the trash', 'stays as it is'])
    expect(await readsAs(disk(node.id), 7)).toBe(true)
  })

  it('is begun once by a double click, and refused while something else is under way', async () => {
    const node = await usedNode()
    const headers = { 'idempotency-key': `reset-${node.id}` }
    const [one, two] = await Promise.all([reset(node.id, {}, headers), reset(node.id, {}, headers)])
    expect(one.body.operation.id).toBe(two.body.operation.id)
    await ended(one)
    await teacher.send('POST', `/api/nodes/${node.id}/start`)
    const release = lab.engine.hold('stop')
    const held = await reset(node.id)
    await untilSeen('the stop', async () => status(node.id) === 'stopping')
    expect((await reset(node.id)).status).toBe(409)
    expect((await teacher.send('DELETE', `/api/nodes/${node.id}?deleteStorage=true`)).status).toBe(409)
    release()
    await ended(held)
    await teacher.send('POST', `/api/nodes/${node.id}/stop`, { now: true })
  })
})

describe('a reset of many', () => {
  const many = (body: object, who = teacher) => who.send('POST', '/api/reset', body)

  it('resets all that a pattern names, with progress for each and one undo for all', async () => {
    const stem = fresh('class')
    const nodes = [await usedNode(`${stem}-a`), await usedNode(`${stem}-b`), await usedNode(`${stem}-c`)]
    const other = await usedNode()
    const { plan } = (await teacher.send('POST', '/api/reset?dryRun=true', { name: `${stem}-*` })).body
    expect(plan.replaces.map(({ name }: { name: string }) => name)).toEqual(nodes.map(({ name }) => name))
    const operation = await ended(await many({ name: `${stem}-*` }))
    expect(operation).toMatchObject({ title: 'Reset 3 nodes', state: 'succeeded' })
    expect(operation.items.map(({ name, state }) => [name, state])).toEqual(
      nodes.map(({ name }) => [name, 'succeeded']),
    )
    for (const { id } of nodes) expect(await readsAs(disk(id), 0)).toBe(true)
    expect(await readsAs(disk(other.id), 7)).toBe(true)
    const back = await ended(await undo(operation))
    expect(back.items).toHaveLength(3)
    for (const { id } of nodes) expect(await readsAs(disk(id), 7)).toBe(true)
  })

  it('is all or nothing: one that fails in the middle leaves every disk as it was', async () => {
    const nodes = [await usedNode(), await usedNode(), await usedNode()]
    await teacher.send('POST', `/api/nodes/${nodes[1]!.id}/start`)
    lab.engine.failNext('stop', new EngineError('engine', 'QEMU did not end'))
    const inodes = await Promise.all(nodes.map(async ({ id }) => (await stat(disk(id))).ino))
    const operation = await ended(await many({ nodeIds: nodes.map(({ id }) => id) }))
    expect(operation).toMatchObject({ state: 'failed', outcome: 'rolled-back' })
    expect(operation.items.map(({ state }) => state)).toEqual(['undone', 'failed', 'undone'])
    expect(await Promise.all(nodes.map(async ({ id }) => (await stat(disk(id))).ino))).toEqual(inodes)
    expect(await entriesOf(operation)).toEqual([])
    await teacher.send('POST', `/api/nodes/${nodes[1]!.id}/stop`, { now: true })
  })

  it('with keepGoing resets those that can be reset, and one undo brings those back', async () => {
    const [good, bad] = [await usedNode(), await usedNode()]
    const taken = await teacher.send('POST', `/api/nodes/${good.id}/snapshots`, { name: 'exam' })
    await ended(taken)
    await writeDisk(layout(), good.id, 3)
    const body = { nodeIds: [good.id, bad.id], snapshot: 'exam' }
    expect((await many(body)).status).toBe(404)
    const { plan } = (await teacher.send('POST', '/api/reset?dryRun=true', { ...body, keepGoing: true })).body
    expect(plan.refusal).toBeNull()
    expect(plan.warnings).toEqual([expect.stringContaining(`${bad.name} would not be reset`)])
    const operation = await ended(await many({ ...body, keepGoing: true }))
    expect(operation.state).toBe('failed')
    expect(operation.error?.message).toMatch(/^1 of 2 nodes could be reset/)
    expect(operation.items.map(({ state }) => state)).toEqual(['succeeded', 'failed'])
    expect(await readsAs(disk(good.id), 7)).toBe(true)
    expect((await ended(await undo(operation))).items).toHaveLength(1)
    expect(await readsAs(disk(good.id), 3)).toBe(true)
  })

  it('needs exactly one way to say which, and takes only what one may reset', async () => {
    const mine = await usedNode(fresh(), student)
    const foreign = await usedNode()
    expect((await many({})).status).toBe(400)
    expect((await many({ all: true, name: 'x' })).status).toBe(400)
    expect((await many({ nodeIds: [foreign.id] }, student)).status).toBe(404)
    expect((await many({ ownerId: teacher.id }, student)).status).toBe(404)
    expect((await reset(foreign.id, {}, {}, student)).status).toBe(404)
    const all = await ended(await many({ all: true }, student))
    expect(all.items.map(({ id }) => id)).toEqual([mine.id])
    expect((await ended(await many({ ownerId: student.id }))).items.map(({ id }) => id)).toEqual([mine.id])
    expect(await readsAs(disk(foreign.id), 7)).toBe(true)
  })
})
