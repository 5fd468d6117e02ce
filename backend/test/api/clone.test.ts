import { readdir, stat } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { layerFile, overlayFile, overlayStagingDir } from '../../src/domain/layout.js'
import type { Operation } from '../../src/domain/operation.js'
import { EngineError } from '../../src/hosts/engine.js'
import { listTrash } from '../../src/storage/trash-store.js'
import { addTestImage, startTestLab, type Person, type TestLab } from '../support/lab.js'
import { chainLength, checkDisk, readsAs, writeDisk } from '../support/disks.js'
import { untilSeen } from '../support/until.js'

jest.setTimeout(120_000)

let lab: TestLab
let teacher: Person
let student: Person

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
  student = await lab.person('student')
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
  const look = async () => {
    const { body } = await teacher.send('GET', `/api/operations/${id}`)
    return body.operation.state !== 'running' && (body.operation as Operation)
  }
  return untilSeen(`operation ${id} to end`, look, 60_000)
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
    expect(layer).toMatchObject({ driveId: 'root', sizeBytes: file.size, operationId: operation.id })
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

describe('a full clone', () => {
  it('stands alone, and its checksums are told', async () => {
    const source = await usedNode()
    const { items, state, log, bytesDone } = await clone(source.id, { name: fresh(), full: true })
    expect(state).toBe('succeeded')
    const made = record(items[0]!.id!)
    expect(made.backing).toEqual({ kind: 'none' })
    expect(await chainLength(disk(made.id))).toBe(1)
    expect(await readsAs(disk(made.id), 7)).toBe(true)
    await checkDisk(disk(made.id))
    expect(log.map(({ text }) => text).join('\n')).toMatch(/have the same sha256 \([0-9a-f]{64}\)/)
    expect(bytesDone).not.toBe(0)
    expect(record(source.id).backing).toEqual({ kind: 'image' })
    expect((await teacher.send('POST', `/api/nodes/${made.id}/start`)).status).toBe(200)
    await expectTidy()
  })

  it('of a running node is of one moment, and several are made from it', async () => {
    const source = await usedNode()
    await teacher.send('POST', `/api/nodes/${source.id}/start`)
    const { items, state } = await clone(source.id, { name: `${fresh()}-{n}`, count: 2, full: true })
    expect(state).toBe('succeeded')
    for (const { id } of items) expect(await readsAs(disk(id!), 7)).toBe(true)
    expect(lab.engine.isFrozen(source.id as never)).toBe(false)
    await teacher.send('POST', `/api/nodes/${source.id}/stop`, { now: true })
    await expectTidy()
  })

  it('of a linked clone takes in the layers below', async () => {
    const source = await usedNode()
    const linked = (await clone(source.id, { name: fresh() })).items[0]!.id!
    await writeDisk(layout(), linked, 9, 3)
    const full = (await clone(linked, { name: fresh(), full: true })).items[0]!.id!
    expect([await readsAs(disk(full), 7), await readsAs(disk(full), 9, 3)]).toEqual([true, true])
    expect(await chainLength(disk(full))).toBe(1)
  })
})

describe('a name that is taken', () => {
  /** A node of that name that somebody has worked with, and what its disk is. */
  async function old() {
    const node = await usedNode(3)
    return { ...node, ino: (await stat(disk(node.id))).ino }
  }
  const trashed = async (id: string) => {
    const folders = await readdir(`${layout().overlays}/.trash`).catch(() => [])
    const folder = folders.find((name) => name.endsWith(id))
    return folder === undefined ? [] : readdir(`${layout().overlays}/.trash/${folder}`)
  }

  it('without a flag: a free name is used', async () => {
    const { state } = await clone((await newNode()).id, { name: fresh() })
    expect(state).toBe('succeeded')
  })

  it('without a flag: it is refused, and nothing has changed', async () => {
    const [source, there] = [await usedNode(), await old()]
    const revision = parts().store.revision
    const answer = await ask(source.id, { name: there.name })
    expect(answer).toMatchObject({ status: 409, body: { error: { code: 'name_taken' } } })
    const plan = await teacher.send('POST', `/api/nodes/${source.id}/clone?dryRun=true`, { name: there.name })
    expect(plan.body.plan).toMatchObject({ refusal: { code: 'name_taken' }, creates: [] })
    expect(parts().store.revision).toBe(revision)
  })

  it.each([
    ['--force', { force: true }, 'Forced'],
    ['--idempotent', { idempotent: true }, 'Idempotent'],
    ['both', { force: true, idempotent: true }, 'Idempotent'],
  ])('%s: the old node moves to the trash, whole, with its record and a warning', async (_, flags, word) => {
    const [source, there] = [await usedNode(), await old()]
    const body = { name: there.name, ...flags }
    const { plan } = (await teacher.send('POST', `/api/nodes/${source.id}/clone?dryRun=true`, body)).body
    expect(plan).toMatchObject({
      refusal: null,
      replaces: [{ type: 'node', id: there.id, name: there.name, fate: 'moves to the trash with its record' }],
      warnings: [expect.stringMatching(`^${word}: the node ${there.name} .* moves to the trash`)],
    })
    expect(plan.replaces[0].bytes).toBeGreaterThan(0)
    const { items, log } = await clone(source.id, body)
    expect(record(there.id)).toBeUndefined()
    expect(record(items[0]!.id!).name).toBe(there.name)
    expect(await trashed(there.id)).toEqual(expect.arrayContaining([`node_${there.id}.qcow2`, `node_${there.id}.json`]))
    expect(log.some(({ text }) => text.startsWith(`${word}: the node ${there.name}`))).toBe(true)
    await expectTidy()
  })

  it('the old node is running: its guest is shut down first, and its disk goes whole', async () => {
    const [source, there] = [await usedNode(), await old()]
    await teacher.send('POST', `/api/nodes/${there.id}/start`)
    const { state } = await clone(source.id, { name: there.name, force: true })
    expect(state).toBe('succeeded')
    expect((await lab.engine.inspect(there.id as never)).phase).not.toBe('running')
    const moved = (await readdir(`${layout().overlays}/.trash`)).find((name) => name.endsWith(there.id))
    expect((await stat(`${layout().overlays}/.trash/${moved}/node_${there.id}.qcow2`)).ino).toBe(there.ino)
  })

  it("never takes its source's own place", async () => {
    const source = await usedNode()
    const answer = await ask(source.id, { name: source.name, idempotent: true })
    expect(answer).toMatchObject({ status: 409, body: { error: { code: 'name_taken' } } })
    expect(record(source.id)).toBeDefined()
  })

  it('is replaced again and again by a script, and the layers of the old ones go, too', async () => {
    const source = await usedNode()
    const name = fresh()
    for (let round = 0; round < 3; round += 1) {
      await teacher.send('POST', `/api/nodes/${source.id}/start`)
      const { state } = await clone(source.id, { name, idempotent: true })
      expect(state).toBe('succeeded')
      await teacher.send('POST', `/api/nodes/${source.id}/stop`, { now: true })
    }
    expect(layers().filter(({ nodeId }) => nodeId === source.id)).toHaveLength(1)
    await expectTidy()
  })
})

describe('many clones', () => {
  it('are named by the pattern, on one layer, and started when asked; a start that fails is told', async () => {
    const source = await usedNode()
    const name = fresh()
    const began = await ask(source.id, { name: `${name}-{nn}`, count: 3, start: true })
    lab.engine.failNext('start', new EngineError('engine', 'QEMU said no'))
    const { state, items } = await ended(began.body.operation.id)
    expect(state).toBe('succeeded')
    expect(items.map((item) => item.name)).toEqual([`${name}-01`, `${name}-02`, `${name}-03`])
    expect(items.map((item) => item.state).toSorted()).toEqual(['failed', 'succeeded', 'succeeded'])
    expect(new Set(items.map(({ id }) => record(id!).mac)).size).toBe(3)
    expect(layers().filter(({ nodeId }) => nodeId === source.id)).toHaveLength(1)
    for (const { id } of items) await teacher.send('POST', `/api/nodes/${id}/stop`, { now: true })
  })

  it('need a place for the number', async () => {
    const answer = await ask((await newNode()).id, { name: fresh(), count: 2 })
    expect(answer).toMatchObject({ status: 400, body: { error: { code: 'bad_request' } } })
  })

  it('are refused when their owner would have too many', async () => {
    const source = await newNode({}, student)
    const answer = await ask(source.id, { name: 'mine-{n}', count: 4 }, {}, student)
    expect(answer).toMatchObject({ status: 422, body: { error: { code: 'quota_reached' } } })
  })
})

describe('snapshots', () => {
  it('before a clone are kept under a name, listed, and cloned from later', async () => {
    const source = await usedNode(5)
    await clone(source.id, { name: fresh(), snapshotFirst: true })
    await writeDisk(layout(), source.id, 6)
    const snapshot = lab.backend.services.lab!.store.data.snapshots.find(({ nodeId }) => nodeId === source.id)
    expect(snapshot).toMatchObject({
      name: expect.stringMatching(/^before-clone-\d{8}-\d{6}$/),
      consistency: 'stopped',
      disks: [{ driveId: 'root', layerId: expect.any(String) }],
    })
    const { body } = await teacher.send('GET', `/api/nodes/${source.id}/layers`)
    expect(body.layers.map(({ id }: { id: string }) => id)).toEqual([snapshot?.disks[0]?.layerId])
    for (const full of [false, true]) {
      const { items } = await clone(source.id, { name: fresh(), snapshot: snapshot?.name ?? '', full })
      expect(await readsAs(disk(items[0]!.id!), 5)).toBe(true)
    }
    expect(await readsAs(disk(source.id), 6)).toBe(true)
    expect((await ask(source.id, { name: fresh(), snapshot: 'no-such' })).status).toBe(404)
    await expectTidy()
  })

  it('go to the trash with their node, once no clone stands on them, as unnamed layers do', async () => {
    const source = await usedNode(5)
    const made = (await clone(source.id, { name: fresh(), snapshotFirst: true })).items[0]!.id!
    const plain = await usedNode(5)
    const other = (await clone(plain.id, { name: fresh() })).items[0]!.id!
    const named = record(made).backing
    const unnamed = layers().find(({ nodeId }) => nodeId === plain.id)!
    for (const id of [made, source.id, plain.id, other]) {
      expect((await teacher.send('DELETE', `/api/nodes/${id}?deleteStorage=true`)).status).toBe(204)
    }
    expect(layers().map(({ id }) => id)).not.toContain(unnamed.id)
    expect(layers().map(({ id }) => id)).not.toContain(named.kind === 'layer' && named.layerId)
    const entry = (await listTrash(layout())).find(({ node }) => node?.id === source.id)
    expect(entry).toMatchObject({ reason: 'deleted', snapshots: [{ nodeId: source.id }] })
    await expectTidy()
  })

  it('under a disk that was kept stay with it', async () => {
    const source = await usedNode()
    const made = (await clone(source.id, { name: fresh() })).items[0]!.id!
    const { layerId } = record(made).backing as { layerId: string }
    await teacher.send('DELETE', `/api/nodes/${made}`)
    await teacher.send('DELETE', `/api/nodes/${source.id}?deleteStorage=true`)
    expect(layers().map(({ id }) => id as string)).toContain(layerId)
    expect(await readsAs(disk(made), 7)).toBe(true)
  })
})

describe('a chain that is as deep as allowed', () => {
  it('is merged into one layer, and the source stays as it is', async () => {
    const source = await usedNode()
    for (let depth = 0; depth < 8; depth += 1) {
      await clone(source.id, { name: fresh() })
      await writeDisk(layout(), source.id, 20 + depth, 2 + depth)
    }
    expect(await chainLength(disk(source.id))).toBe(10)
    const before = record(source.id).backing
    const made = (await clone(source.id, { name: fresh() })).items[0]!.id!
    expect(record(source.id).backing).toEqual(before)
    expect(await chainLength(disk(made))).toBe(3)
    expect(await readsAs(disk(made), 7)).toBe(true)
    for (let depth = 0; depth < 8; depth += 1) expect(await readsAs(disk(made), 20 + depth, 2 + depth)).toBe(true)
    await checkDisk(layerFile(layout(), (record(made).backing as { layerId: string }).layerId))
    await expectTidy()
  })
})

describe('a clone that fails', () => {
  it('leaves the source and everything else as it was, at whatever step', async () => {
    const failures = [
      ['ensureNode', false],
      ['freezeDisk', true],
    ] as const
    for (const [step, running] of failures) {
      const source = await usedNode()
      if (running) await teacher.send('POST', `/api/nodes/${source.id}/start`)
      const before = await stat(disk(source.id))
      const count = nodes().length
      lab.engine.failNext(step, new EngineError('engine', 'no'))
      const { state, outcome } = await clone(source.id, { name: fresh() })
      expect({ state, outcome }).toEqual({ state: 'failed', outcome: 'rolled-back' })
      const after = await stat(disk(source.id))
      expect({ ino: after.ino, mode: after.mode }).toEqual({ ino: before.ino, mode: before.mode })
      expect(nodes()).toHaveLength(count)
      if (running) await teacher.send('POST', `/api/nodes/${source.id}/stop`, { now: true })
      expect(await readsAs(disk(source.id), 7)).toBe(true)
      expect((await teacher.send('GET', `/api/nodes/${source.id}`)).body.node.status).toBe('stopped')
      await expectTidy()
    }
  })

  it('when its commit is refused: the name was taken at the last moment', async () => {
    const source = await usedNode()
    const name = fresh()
    const released = lab.engine.hold('ensureNode')
    const began = await ask(source.id, { name })
    await untilSeen('the making of the disk', async () =>
      parts().operations.get(began.body.operation.id)?.step.startsWith('Making'),
    )
    await parts().store.change((draft) => {
      const [first] = draft.nodes
      draft.nodes.push({
        ...first!,
        id: '00000000-0000-4000-8000-0000000000aa' as never,
        mac: '02:00:00:00:00:aa',
        name,
        ownerId: teacher.id as never,
      })
    })
    released()
    expect(await ended(began.body.operation.id)).toMatchObject({ state: 'failed', error: { code: 'name_taken' } })
    await parts().store.change((draft) => void (draft.nodes = draft.nodes.filter((node) => !node.id.endsWith('aa'))))
    expect(record(source.id).backing).toEqual({ kind: 'image' })
    expect(await readsAs(disk(source.id), 7)).toBe(true)
    await expectTidy()
  })

  it('is cancelled, and nothing is left', async () => {
    const source = await usedNode()
    const released = lab.engine.hold('ensureNode')
    const began = await ask(source.id, { name: `${fresh()}-{n}`, count: 20 })
    await untilSeen('the making of the disks', async () =>
      parts().operations.get(began.body.operation.id)?.step.startsWith('Making'),
    )
    await teacher.send('POST', `/api/operations/${began.body.operation.id}/cancel`)
    released()
    expect((await ended(began.body.operation.id)).state).toBe('cancelled')
    expect(await readsAs(disk(source.id), 7)).toBe(true)
    await expectTidy()
  })
})

describe('a clone that is asked for again', () => {
  it('with the same key is the same clone; with another body refused', async () => {
    const source = await usedNode()
    const headers = { 'idempotency-key': 'again-and-again' }
    const body = { name: fresh() }
    const first = await clone(source.id, body, headers)
    const second = await ask(source.id, body, headers)
    expect(second.body.operation.id).toBe(first.id)
    expect(nodes().filter(({ name }) => name === body.name)).toHaveLength(1)
    expect((await ask(source.id, { name: fresh() }, headers)).body.error.code).toBe('key_reused')
  })
})

describe('what a delete would do', () => {
  it('is said beforehand, with sizes, and is what is then refused or done', async () => {
    const node = await usedNode()
    const plan = async (query: string) => {
      const answer = await teacher.send('DELETE', `/api/nodes/${node.id}?dryRun=true${query}`)
      expect(answer.status).toBe(200)
      return answer.body.plan
    }
    expect(await plan('')).toMatchObject({
      kind: 'node.delete',
      title: `Delete ${node.name}`,
      replaces: [{ id: node.id, fate: 'its disk is kept' }],
      refusal: null,
    })
    const [gone] = (await plan('&deleteStorage=true')).replaces
    expect(gone).toMatchObject({ fate: 'moves to the trash', bytes: expect.any(Number) })
    expect(gone.bytes).toBeGreaterThan(64 * 1024)
    expect(record(node.id)).toBeDefined()
    await teacher.send('POST', `/api/nodes/${node.id}/start`)
    const { refusal } = await plan('')
    const refused = await teacher.send('DELETE', `/api/nodes/${node.id}`)
    expect(refused.body.error).toMatchObject({ code: refusal.code, message: refusal.message })
    await teacher.send('POST', `/api/nodes/${node.id}/stop`, { now: true })
  })
})

describe('the audit log of a clone', () => {
  it('names what was replaced and why', async () => {
    const [source, old] = [await usedNode(), await usedNode()]
    await clone(source.id, { name: old.name, idempotent: true })
    const administrator = await lab.person('administrator')
    const { body } = await administrator.send('GET', '/api/audit')
    const entry = body.entries.find((one: { action: string }) => one.action === 'node.clone')
    expect(entry).toMatchObject({
      objectId: source.id,
      result: 'success',
      details: {
        to: old.name,
        idempotent: true,
        replaced: [{ id: old.id, name: old.name }],
        warnings: [expect.stringContaining('Idempotent')],
      },
    })
  })
})
