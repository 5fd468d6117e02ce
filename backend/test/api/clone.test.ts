import { readdir, stat } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { layerFile, overlayFile, overlayStagingDir } from '../../src/domain/layout.js'
import type { Operation } from '../../src/domain/operation.js'
import { addTestImage, startTestLab, type Person, type TestLab } from '../support/lab.js'
import { chainLength, checkDisk, readsAs, writeDisk } from '../support/disks.js'
import { untilSeen } from '../support/until.js'

jest.setTimeout(120_000)

let lab: TestLab
let teacher: Person

const parts = () => lab.backend.services.lab!
const layout = () => lab.backend.services.config.layout
const nodes = () => parts().store.data.nodes
const layers = () => parts().store.data.layers
const record = (id: string) => nodes().find((node) => node.id === id)!
const disk = (id: string) => overlayFile(layout(), id)

beforeAll(async () => {
  lab = await startTestLab({ environment: { SANDLABX_STUDENT_NODES: '4' } })
  await addTestImage(layout(), parts().store)
  teacher = await lab.person('instructor')
}, 60_000)
afterAll(() => lab?.close())

let count = 0
const fresh = () => `n${(count += 1)}`

async function newNode(extra: Record<string, unknown> = {}, who: Person = teacher) {
  const answer = await who.send('POST', '/api/nodes', { name: fresh(), image: 'empty', ...extra })
  if (answer.status !== 201) throw new Error(JSON.stringify(answer.body))
  return answer.body.node as { id: string; name: string }
}

/** A stopped node whose guest has written to its disk. */
async function usedNode(byte = 7) {
  const node = await newNode()
  await writeDisk(layout(), node.id, byte)
  return node
}

const ask = (id: string, body: object, headers = {}, who: Person = teacher) =>
  who.send('POST', `/api/nodes/${id}/clone`, body, headers)

async function ended(id: string): Promise<Operation> {
  return untilSeen(`operation ${id} to end`, async () => {
    const { body } = await teacher.send('GET', `/api/operations/${id}`)
    return body.operation.state !== 'running' && (body.operation as Operation)
  })
}

async function clone(id: string, body: object, headers = {}): Promise<Operation> {
  const answer = await ask(id, body, headers)
  if (answer.status !== 202) throw new Error(JSON.stringify(answer.body))
  return ended(answer.body.operation.id)
}

/** What must hold whatever happened. */
async function expectTidy() {
  const names = await readdir(layout().overlays)
  expect(names.filter((name) => name.endsWith('.tmp'))).toEqual([])
  expect(await readdir(overlayStagingDir(layout())).catch(() => [])).toEqual([])
  const files = names.filter((name) => /^layer_.*\.qcow2$/.test(name)).toSorted()
  expect(files).toEqual(
    layers()
      .map(({ file }) => file)
      .toSorted(),
  )
  expect(await readdir(`${layout().state}/journal`)).toEqual([])
}

describe('a linked clone', () => {
  it('of a used disk makes it a layer, under the source and the clone', async () => {
    const source = await usedNode()
    const before = (await stat(disk(source.id))).ino
    const name = fresh()
    const operation = await clone(source.id, { name })
    expect(operation).toMatchObject({
      kind: 'node.clone',
      title: `Clone ${source.name} to ${name}`,
      state: 'succeeded',
    })
    const made = record(operation.items[0]!.id!)
    expect(made).toMatchObject({ name, ownerId: teacher.id, desired: 'stopped', generation: 0, imageId: 'empty' })
    const { mac, backing, guest } = record(source.id)
    expect(made.mac).not.toBe(mac)
    expect(made.guest).toEqual(guest)
    expect(backing).toMatchObject({ kind: 'layer' })
    expect(made.backing).toEqual(backing)
    const layer = layers().find(({ nodeId }) => nodeId === source.id)!
    const file = await stat(layerFile(layout(), layer.id))
    expect(file.ino).toBe(before)
    expect(file.mode & 0o777).toBe(0o444)
    expect(layer).toMatchObject({ name: null, sizeBytes: file.size, operationId: operation.id })
    for (const id of [source.id, made.id]) {
      expect(await readsAs(disk(id), 7)).toBe(true)
      expect(await chainLength(disk(id))).toBe(3)
      await checkDisk(disk(id))
      expect((await teacher.send('GET', `/api/nodes/${id}`)).body.node.status).toBe('stopped')
    }
    await expectTidy()
  })

  it('goes its own way, and so does the source', async () => {
    const source = await usedNode()
    const { items } = await clone(source.id, { name: fresh() })
    await writeDisk(layout(), source.id, 1)
    await writeDisk(layout(), items[0]!.id!, 2)
    expect([await readsAs(disk(source.id), 1), await readsAs(disk(items[0]!.id!), 2)]).toEqual([true, true])
    for (const id of [source.id, items[0]!.id!]) {
      expect((await teacher.send('POST', `/api/nodes/${id}/start`)).status).toBe(200)
    }
    expect(lab.engine.specOf(items[0]!.id as never)?.backing?.layers).toHaveLength(1)
  })

  it('of a disk that nobody wrote to needs no layer', async () => {
    const source = await newNode()
    const { items } = await clone(source.id, { name: fresh() })
    expect(record(items[0]!.id!).backing).toEqual({ kind: 'image' })
    expect(record(source.id).backing).toEqual({ kind: 'image' })
    expect(layers().some(({ nodeId }) => nodeId === source.id)).toBe(false)
    await expectTidy()
  })

  it('of a running node copies what its frozen disk holds, and lets it go', async () => {
    const source = await usedNode()
    await teacher.send('POST', `/api/nodes/${source.id}/start`)
    const { items, state } = await clone(source.id, { name: fresh() })
    expect(state).toBe('succeeded')
    expect(lab.engine.isFrozen(source.id as never)).toBe(false)
    expect(record(source.id).backing).toEqual({ kind: 'image' })
    expect(record(items[0]!.id!).backing.kind).toBe('layer')
    expect(await readsAs(disk(items[0]!.id!), 7)).toBe(true)
    await teacher.send('POST', `/api/nodes/${source.id}/stop`, { now: true })
    await expectTidy()
  })

  it('many at once, from many people, get their turn', async () => {
    const source = await usedNode()
    const operations = await Promise.all(Array.from({ length: 6 }, () => clone(source.id, { name: fresh() })))
    expect(operations.map(({ state }) => state)).toEqual(operations.map(() => 'succeeded'))
    expect(layers().filter(({ nodeId }) => nodeId === source.id)).toHaveLength(1)
    await expectTidy()
  })
})
