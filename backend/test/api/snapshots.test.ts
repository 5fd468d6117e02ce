import { access, chmod, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { layerFile, memoryFile, overlayFile, overlayStagingDir } from '../../src/domain/layout.js'
import { AUTOMATIC_SNAPSHOTS } from '../../src/disks/snapshots/snapshots.js'
import type { Operation } from '../../src/domain/operation.js'
import { EngineError } from '../../src/hosts/engine.js'
import { layerSidecarSchema } from '../../src/state/sidecar-records.js'
import { listTrash } from '../../src/storage/trash-store.js'
import { runCommand } from '../../src/system/command.js'
import { chainLength, checkDisk, readsAs, writeDisk } from '../support/disks.js'
import { addTestImage, startTestLab, type Person, type TestLab } from '../support/lab.js'
import { untilSeen } from '../support/until.js'

jest.setTimeout(120_000)

let lab: TestLab
let teacher: Person
let student: Person

const parts = () => lab.backend.services.lab!
const layout = () => lab.backend.services.config.layout
const state = () => parts().store.data
const record = (id: string) => state().nodes.find((node) => node.id === id)!
const disk = (id: string) => overlayFile(layout(), id)
const snapshotOf = (id: string, name: string) =>
  state().snapshots.find((one) => one.nodeId === id && one.name === name)!
const rootLayer = (id: string, name: string) =>
  snapshotOf(id, name).disks.find(({ driveId }) => driveId === 'root')!.layerId

beforeAll(async () => {
  lab = await startTestLab()
  await addTestImage(layout(), parts().store)
  teacher = await lab.person('instructor')
  student = await lab.person('student')
}, 60_000)
afterAll(() => lab?.close())

let count = 0

async function newNode(who: Person = teacher) {
  const answer = await who.send('POST', '/api/nodes', { name: `s${(count += 1)}`, image: 'empty' })
  if (answer.status !== 201) throw new Error(JSON.stringify(answer.body))
  return answer.body.node as { id: string; name: string }
}

/** A stopped node whose guest has written to its disk. */
async function usedNode(byte = 7, who: Person = teacher) {
  const node = await newNode(who)
  await writeDisk(layout(), node.id, byte)
  return node
}

async function ended(id: string): Promise<Operation> {
  const look = async () => {
    const { body } = await teacher.send('GET', `/api/operations/${id}`)
    return body.operation.state !== 'running' && (body.operation as Operation)
  }
  return untilSeen(`operation ${id} to end`, look, 60_000)
}

async function done(method: string, path: string, body?: object, who: Person = teacher): Promise<Operation> {
  const answer = await who.send(method, path, body)
  if (answer.status !== 202) throw new Error(JSON.stringify(answer.body))
  const operation = await ended(answer.body.operation.id)
  return operation
}

async function well(method: string, path: string, body?: object, who: Person = teacher): Promise<Operation> {
  const operation = await done(method, path, body, who)
  if (operation.state !== 'succeeded') throw new Error(JSON.stringify(operation.error))
  return operation
}

const take = (id: string, name: string, extra: object = {}, who: Person = teacher) =>
  well('POST', `/api/nodes/${id}/snapshots`, { name, ...extra }, who)
const path = (id: string, name: string) => `/api/nodes/${id}/snapshots/${snapshotOf(id, name).id}`
const restore = (id: string, name: string, body: object = {}) => well('POST', `${path(id, name)}/restore`, body)
const remove = (id: string, name: string) => well('DELETE', path(id, name))
const list = async (id: string) => (await teacher.send('GET', `/api/nodes/${id}/snapshots`)).body.snapshots

/** What must hold whatever happened. */
async function expectTidy() {
  const names = await readdir(layout().overlays)
  expect(names.filter((name) => name.endsWith('.tmp'))).toEqual([])
  expect(await readdir(overlayStagingDir(layout())).catch(() => [])).toEqual([])
  const files = names.filter((name) => /^layer_.*\.qcow2$/.test(name)).toSorted()
  expect(files).toEqual(
    state()
      .layers.map(({ file }) => file)
      .toSorted(),
  )
  expect(await readdir(`${layout().state}/journal`)).toEqual([])
  for (const layer of state().layers) {
    const found = await stat(layerFile(layout(), layer.id))
    expect([found.size, Math.floor(found.mtimeMs), found.mode & 0o777]).toEqual([layer.sizeBytes, layer.mtimeMs, 0o444])
    const sidecar = layerSidecarSchema.parse(
      JSON.parse(await readFile(`${layout().overlays}/layer_${layer.id}.json`, 'utf8')),
    )
    expect(sidecar.record).toEqual(layer)
    const keeping = state().snapshots.filter(({ disks }) => disks.some(({ layerId }) => layerId === layer.id))
    expect(sidecar.snapshots).toEqual(keeping)
  }
}

describe('a snapshot of a stopped node', () => {
  it('keeps the disk as it is, which goes on over it', async () => {
    const node = await usedNode(7)
    const before = (await stat(disk(node.id))).ino
    const operation = await take(node.id, 'first', { note: 'before the exam' })
    expect(operation).toMatchObject({ kind: 'snapshot.create', title: `Snapshot first of ${node.name}` })
    expect((await stat(layerFile(layout(), rootLayer(node.id, 'first')))).ino).toBe(before)
    await writeDisk(layout(), node.id, 9)
    expect(await readsAs(disk(node.id), 9)).toBe(true)
    expect(await readsAs(layerFile(layout(), rootLayer(node.id, 'first')), 7)).toBe(true)
    expect(await list(node.id)).toMatchObject([
      { name: 'first', note: 'before the exam', consistency: 'stopped', memory: null, parentId: null, current: true },
    ])
    expect((await teacher.send('GET', `/api/nodes/${node.id}`)).body.node.status).toBe('stopped')
    await expectTidy()
  })

  it('is restored: the first pattern is read again, and the second is in the trash', async () => {
    const node = await usedNode(7)
    const { mac } = record(node.id)
    await take(node.id, 'first')
    await writeDisk(layout(), node.id, 9)
    const written = (await stat(disk(node.id))).ino
    const operation = await restore(node.id, 'first')
    expect(await readsAs(disk(node.id), 7)).toBe(true)
    await checkDisk(disk(node.id))
    expect(record(node.id)).toMatchObject({ id: node.id, mac })
    const entry = (await listTrash(layout())).find(({ operationId }) => operationId === operation.id)!
    expect(entry).toMatchObject({
      reason: 'restored',
      node: { id: node.id },
      files: [{ was: `node_${node.id}.qcow2` }],
    })
    expect((await stat(`${layout().overlays}/.trash/${entry.id}/${entry.files[0]!.name}`)).ino).toBe(written)
    await expectTidy()
  })

  it('knows its parent: what the disk stood on then, not what was taken last', async () => {
    const node = await usedNode(1)
    await take(node.id, 'one')
    await writeDisk(layout(), node.id, 2)
    await take(node.id, 'two')
    await restore(node.id, 'one')
    await writeDisk(layout(), node.id, 3)
    await take(node.id, 'three')
    const one = snapshotOf(node.id, 'one').id
    expect(snapshotOf(node.id, 'two').parentId).toBe(one)
    expect(snapshotOf(node.id, 'three').parentId).toBe(one)
    const shown = await list(node.id)
    expect(shown.map(({ name, current }: { name: string; current: boolean }) => [name, current])).toEqual([
      ['three', true],
      ['two', false],
      ['one', false],
    ])
    for (const [name, byte] of [
      ['two', 2],
      ['one', 1],
      ['three', 3],
    ] as const) {
      await restore(node.id, name)
      expect(await readsAs(disk(node.id), byte)).toBe(true)
    }
    await expectTidy()
  })

  it('has a name of its own within the node, which can be changed', async () => {
    const node = await usedNode()
    const other = await usedNode()
    await take(node.id, 'same')
    await take(other.id, 'same')
    const again = await teacher.send('POST', `/api/nodes/${node.id}/snapshots`, { name: 'same' })
    expect([again.status, again.body.error.code]).toEqual([409, 'name_taken'])
    await take(node.id, 'more')
    const taken = await teacher.send('PATCH', path(node.id, 'more'), { name: 'same' })
    expect(taken.body.error.code).toBe('name_taken')
    const changed = await teacher.send('PATCH', path(node.id, 'more'), { name: 'other', note: 'now with a note' })
    expect(changed.body.snapshot).toMatchObject({ name: 'other', note: 'now with a note' })
    await expectTidy()
  })

  it('is taken only as often as a student may', async () => {
    const node = await usedNode(1, student)
    for (let number = 1; number <= 10; number += 1) {
      await writeDisk(layout(), node.id, number)
      await take(node.id, `n${number}`, {}, student)
    }
    const more = await student.send('POST', `/api/nodes/${node.id}/snapshots`, { name: 'n11' })
    expect([more.status, more.body.error.code]).toEqual([422, 'quota_reached'])
    for (const number of [1, 5, 8, 9, 10]) {
      expect(await readsAs(layerFile(layout(), rootLayer(node.id, `n${number}`)), number)).toBe(true)
    }
    expect(await chainLength(disk(node.id))).toBeLessThanOrEqual(10)
    await expectTidy()
  })

  it('of somebody else can neither be seen nor touched', async () => {
    const node = await usedNode()
    await take(node.id, 'mine')
    expect((await student.send('GET', `/api/nodes/${node.id}/snapshots`)).status).toBe(404)
    expect((await student.send('DELETE', path(node.id, 'mine'))).status).toBe(404)
    expect((await student.send('GET', `${path(node.id, 'mine')}/export`)).status).toBe(404)
  })

  it('is cloned from by its name', async () => {
    const node = await usedNode(4)
    await take(node.id, 'golden')
    await writeDisk(layout(), node.id, 5)
    const { items } = await well('POST', `/api/nodes/${node.id}/clone`, {
      name: `s${(count += 1)}`,
      snapshot: 'golden',
    })
    expect(await readsAs(disk(items[0]!.id!), 4)).toBe(true)
    const [shown] = await list(node.id)
    expect(shown.usedBy).toEqual([{ id: items[0]!.id, name: items[0]!.name }])
  })
})

describe('a snapshot that is deleted', () => {
  it('leaves the disk as it was, merged, and goes to the trash', async () => {
    const node = await usedNode(7)
    await take(node.id, 'one')
    await writeDisk(layout(), node.id, 9, 2)
    const copy = join(tmpdir(), `before-${node.id}.raw`)
    await run('qemu-img', 'convert', '-O', 'raw', disk(node.id), copy)
    const layerId = rootLayer(node.id, 'one')
    const { id } = await remove(node.id, 'one')
    await run('qemu-img', 'compare', '-f', 'raw', '-F', 'qcow2', copy, disk(node.id))
    await rm(copy)
    expect(record(node.id).backing).toEqual({ kind: 'image' })
    expect(await chainLength(disk(node.id))).toBe(2)
    await checkDisk(disk(node.id))
    const entry = (await listTrash(layout())).find(({ operationId }) => operationId === id)!
    expect(entry).toMatchObject({ reason: 'snapshot-deleted', layers: [{ id: layerId }], snapshots: [{ name: 'one' }] })
    await access(`${layout().overlays}/.trash/${entry.id}/layer_${layerId}.qcow2`)
    await expectTidy()
  })

  it('in the middle of a chain is merged into the one over it', async () => {
    const node = await usedNode(1)
    await take(node.id, 'one')
    await writeDisk(layout(), node.id, 2, 2)
    await take(node.id, 'two')
    await writeDisk(layout(), node.id, 3, 3)
    await take(node.id, 'three')
    await remove(node.id, 'two')
    expect(snapshotOf(node.id, 'three').parentId).toBe(snapshotOf(node.id, 'one').id)
    for (const [at, byte] of [
      [1, 1],
      [2, 2],
      [3, 3],
    ] as const)
      expect(await readsAs(disk(node.id), byte, at)).toBe(true)
    expect(await chainLength(disk(node.id))).toBe(4)
    await remove(node.id, 'one')
    for (const [at, byte] of [
      [1, 1],
      [2, 2],
      [3, 3],
    ] as const)
      expect(await readsAs(disk(node.id), byte, at)).toBe(true)
    expect((await teacher.send('POST', `/api/nodes/${node.id}/start`)).status).toBe(200)
    await teacher.send('POST', `/api/nodes/${node.id}/stop`, { now: true })
    await expectTidy()
  })

  it('that two linked clones stand on keeps its layer, and the plan says why', async () => {
    const node = await usedNode(6)
    await take(node.id, 'shared')
    const names = [`s${(count += 1)}`, `s${(count += 1)}`]
    const clones: string[] = []
    for (const name of names) {
      clones.push((await well('POST', `/api/nodes/${node.id}/clone`, { name, snapshot: 'shared' })).items[0]!.id!)
    }
    const layerId = rootLayer(node.id, 'shared')
    const { plan } = (await teacher.send('DELETE', `${path(node.id, 'shared')}?dryRun=true`)).body
    expect(plan.files).toMatchObject([
      { path: `/overlays/layer_${layerId}.qcow2`, fate: expect.stringMatching(/^stays/) },
    ])
    expect(plan.warnings[0]).toMatch(/3 disks stand on it/)
    await remove(node.id, 'shared')
    await access(layerFile(layout(), layerId))
    for (const id of [node.id, ...clones]) expect(await readsAs(disk(id), 6)).toBe(true)
    await expectTidy()
  })

  it('that nothing stands on simply goes', async () => {
    const node = await usedNode(1)
    await take(node.id, 'one')
    await writeDisk(layout(), node.id, 2)
    await take(node.id, 'two')
    await restore(node.id, 'one')
    const layerId = rootLayer(node.id, 'two')
    await remove(node.id, 'two')
    expect(state().layers.some(({ id }) => id === layerId)).toBe(false)
    expect(await readsAs(disk(node.id), 1)).toBe(true)
    await expectTidy()
  })
})

describe('what is asked beforehand', () => {
  it('changes nothing', async () => {
    const node = await usedNode()
    await take(node.id, 'one')
    await writeDisk(layout(), node.id, 8)
    const before = [JSON.stringify(state()), (await readdir(layout().overlays)).toSorted()]
    const plans = [
      await teacher.send('POST', `/api/nodes/${node.id}/snapshots?dryRun=true`, { name: 'two' }),
      await teacher.send('POST', `${path(node.id, 'one')}/restore?dryRun=true`, {}),
      await teacher.send('DELETE', `${path(node.id, 'one')}?dryRun=true`),
    ]
    expect(plans.map(({ status }) => status)).toEqual([200, 200, 200])
    for (const { body } of plans) {
      expect(body.plan.refusal).toBeNull()
      expect(body.plan.files).toHaveLength(1)
      expect(body.plan.space[0].requiredBytes).toBeGreaterThan(0)
    }
    expect([JSON.stringify(state()), (await readdir(layout().overlays)).toSorted()]).toEqual(before)
    const taken = await teacher.send('POST', `/api/nodes/${node.id}/snapshots?dryRun=true`, { name: 'one' })
    expect(taken.body.plan.refusal.code).toBe('name_taken')
  })
})

describe('what must not be', () => {
  it.each(['the layer', 'its parent'])(
    'a restore when %s is missing is refused, and changes nothing',
    async (which) => {
      const node = await usedNode(1)
      await take(node.id, 'one')
      await writeDisk(layout(), node.id, 2)
      await take(node.id, 'two')
      const lost = layerFile(layout(), rootLayer(node.id, which === 'the layer' ? 'two' : 'one'))
      await rename(lost, `${lost}.away`)
      const before = JSON.stringify(record(node.id))
      const answer = await teacher.send('POST', `${path(node.id, 'two')}/restore`, {})
      expect([answer.status, answer.body.error.code]).toEqual([422, 'chain_broken'])
      const plan = await teacher.send('POST', `${path(node.id, 'two')}/restore?dryRun=true`, {})
      expect(plan.body.plan.refusal.code).toBe('chain_broken')
      expect(JSON.stringify(record(node.id))).toBe(before)
      await rename(`${lost}.away`, lost)
      await expectTidy()
    },
  )

  it('two at once: each is whole, or told that the node is busy', async () => {
    const node = await usedNode()
    const answers = await Promise.all(
      ['one', 'two', 'three'].map((name) => teacher.send('POST', `/api/nodes/${node.id}/snapshots`, { name })),
    )
    const outcomes = await Promise.all(
      answers.map(async ({ status, body }) =>
        status === 202 ? ((await ended(body.operation.id)).error?.code ?? 'taken') : body.error.code,
      ),
    )
    expect(outcomes.filter((outcome) => outcome !== 'taken' && outcome !== 'busy')).toEqual([])
    const taken = outcomes.filter((outcome) => outcome === 'taken').length
    expect(taken).toBeGreaterThan(0)
    expect(state().snapshots.filter(({ nodeId }) => nodeId === node.id)).toHaveLength(taken)
    expect(await readsAs(disk(node.id), 7)).toBe(true)
    await expectTidy()
  })

  it('a merge that fails leaves the old chain whole, and the node starts', async () => {
    const node = await usedNode(7)
    await take(node.id, 'one')
    await writeDisk(layout(), node.id, 9, 2)
    const real = process.env['PATH']
    const folder = await mkdtemp(join(tmpdir(), 'full-'))
    await chmod(folder, 0o755) // for the user that runs it
    const script =
      '#!/bin/sh\n[ "$1" = convert ] && { echo \'error while writing: No space left on device\' >&2; exit 1; }\nexec /usr/bin/qemu-img "$@"\n'
    await writeFile(`${folder}/qemu-img`, script, { mode: 0o755 })
    process.env['PATH'] = `${folder}:${real}`
    const operation = await done('DELETE', path(node.id, 'one')).finally(() => (process.env['PATH'] = real))
    await rm(folder, { recursive: true })
    expect(operation).toMatchObject({ state: 'failed', outcome: 'rolled-back', error: { code: 'no_space' } })
    expect(snapshotOf(node.id, 'one')).toBeDefined()
    expect([await readsAs(disk(node.id), 7), await readsAs(disk(node.id), 9, 2)]).toEqual([true, true])
    expect((await teacher.send('POST', `/api/nodes/${node.id}/start`)).status).toBe(200)
    await teacher.send('POST', `/api/nodes/${node.id}/stop`, { now: true })
    await expectTidy()
  })

  it('memory, or a freeze, of a node that does not run', async () => {
    const node = await usedNode()
    for (const extra of [{ memory: true }, { freeze: true }]) {
      const answer = await teacher.send('POST', `/api/nodes/${node.id}/snapshots`, { name: 'one', ...extra })
      expect(answer.body.error.code).toBe('wrong_status')
    }
  })
})

describe('a snapshot of a running node', () => {
  const start = (id: string) => teacher.send('POST', `/api/nodes/${id}/start`)
  const stop = (id: string) => teacher.send('POST', `/api/nodes/${id}/stop`, { now: true })

  it('freezes its disk at one moment, and the guest goes on over it', async () => {
    const node = await usedNode(7)
    await start(node.id)
    await take(node.id, 'live')
    expect(lab.engine.startsOf(node.id as never)).toBe(1)
    expect(snapshotOf(node.id, 'live')).toMatchObject({ consistency: 'live', memory: null })
    await stop(node.id)
    await writeDisk(layout(), node.id, 9)
    await restore(node.id, 'live')
    expect(await readsAs(disk(node.id), 7)).toBe(true)
    await expectTidy()
  })

  it('is merged down live when it is deleted, and the guest keeps running', async () => {
    const node = await usedNode(7)
    await start(node.id)
    await take(node.id, 'live')
    await remove(node.id, 'live')
    expect(record(node.id).backing).toEqual({ kind: 'image' })
    expect((await teacher.send('GET', `/api/nodes/${node.id}`)).body.node.status).toBe('running')
    await stop(node.id)
    expect([await readsAs(disk(node.id), 7), await chainLength(disk(node.id))]).toEqual([true, 2])
    await expectTidy()
  })

  it('is as before when its merge is refused, and can be deleted later', async () => {
    const node = await usedNode(7)
    await start(node.id)
    await take(node.id, 'live')
    lab.engine.failNext('mergeDown', new EngineError('no-space', 'The disk is full.'))
    const operation = await done('DELETE', path(node.id, 'live'))
    expect(operation).toMatchObject({ state: 'failed', error: { code: 'no_space' } })
    expect(record(node.id).backing).toEqual({ kind: 'layer', layerId: rootLayer(node.id, 'live') })
    await remove(node.id, 'live')
    await stop(node.id)
    await expectTidy()
  })

  it('that the engine refuses leaves nothing', async () => {
    const node = await usedNode(7)
    await start(node.id)
    lab.engine.failNext('snapshotDisks', new EngineError('engine', 'QEMU did not want to.'))
    const operation = await done('POST', `/api/nodes/${node.id}/snapshots`, { name: 'live' })
    expect(operation).toMatchObject({ state: 'failed', outcome: 'rolled-back', error: { code: 'engine_failed' } })
    expect([state().snapshots.some(({ nodeId }) => nodeId === node.id), record(node.id).backing]).toEqual([
      false,
      { kind: 'image' },
    ])
    await stop(node.id)
    await expectTidy()
  })

  it('with its memory goes on from there when it is restored', async () => {
    const node = await usedNode(7)
    await start(node.id)
    await take(node.id, 'moment', { memory: true })
    await access(memoryFile(layout(), snapshotOf(node.id, 'moment').id))
    const { plan } = (await teacher.send('POST', `${path(node.id, 'moment')}/restore?dryRun=true`, { now: true })).body
    expect(plan.steps.join(' ')).toMatch(/memory, at the same screen/)
    await restore(node.id, 'moment', { now: true })
    expect(lab.engine.specOf(node.id as never)?.resume).toEqual({
      memoryFile: `memory_${snapshotOf(node.id, 'moment').id}.bin`,
    })
    expect((await teacher.send('GET', `/api/nodes/${node.id}`)).body.node.status).toBe('running')
    await stop(node.id)
    const { memory } = snapshotOf(node.id, 'moment')
    const { id } = await remove(node.id, 'moment')
    const entry = (await listTrash(layout())).find(({ operationId }) => operationId === id)!
    await access(`${layout().overlays}/.trash/${entry.id}/${memory!.file}`)
    await expectTidy()
  })

  it('whose memory can not be loaded boots instead, and says so', async () => {
    const node = await usedNode(7)
    await start(node.id)
    await take(node.id, 'moment', { memory: true })
    lab.engine.failNext('start', new EngineError('unsupported', 'It was saved by another QEMU.'))
    const operation = await restore(node.id, 'moment', { now: true })
    expect(operation.log.map(({ text }) => text).join(' ')).toMatch(/could not be loaded, so that it boots instead/)
    expect(
      record(node.id)
        .events.map(({ text }) => text)
        .join(' '),
    ).toMatch(/another QEMU/)
    expect(lab.engine.specOf(node.id as never)?.resume).toBeUndefined()
    expect((await teacher.send('GET', `/api/nodes/${node.id}`)).body.node.status).toBe('running')
    await stop(node.id)
  })

  it('with a freeze needs an agent in the guest that answers, and says what to do', async () => {
    const node = await usedNode()
    const body = { name: 'frozen', freeze: true }
    const refused = async () => {
      const answer = await teacher.send('POST', `/api/nodes/${node.id}/snapshots`, body)
      const plan = await teacher.send('POST', `/api/nodes/${node.id}/snapshots?dryRun=true`, body)
      expect(answer).toMatchObject({ status: 422, body: { error: { code: 'unsupported' } } })
      expect(plan.body.plan.refusal).toMatchObject({ code: 'unsupported', message: answer.body.error.message })
      return answer.body.error.hint as string
    }
    await start(node.id)
    expect(await refused()).toContain(`sandlabx set ${node.name} --agent`)
    await stop(node.id)
    expect((await teacher.send('PATCH', `/api/nodes/${node.id}`, { agent: true })).body.node.agent).toBe(true)
    await start(node.id)
    expect(lab.engine.specOf(node.id as never)?.agent).toBe(true)
    expect(await refused()).toMatch(/qemu-guest-agent/)
    expect(state().snapshots.some(({ nodeId }) => nodeId === node.id)).toBe(false)

    lab.engine.setAgent(node.id as never, true)
    const { log } = await take(node.id, 'frozen', { freeze: true })
    expect(log.map(({ text }) => text).join(' ')).toMatch(/writes were held by its agent/)
    expect(snapshotOf(node.id, 'frozen')).toMatchObject({ consistency: 'frozen', agent: true })
    expect(lab.engine.isGuestFrozen(node.id as never)).toBe(false)
    await stop(node.id)
    await expectTidy()
  })

  it('that fails while the guest is frozen leaves it thawed, and nothing of the snapshot', async () => {
    const node = await usedNode()
    await teacher.send('PATCH', `/api/nodes/${node.id}`, { agent: true })
    await start(node.id)
    lab.engine.setAgent(node.id as never, true)
    let wasFrozen = false
    const release = lab.engine.hold('snapshotDisks')
    lab.engine.failNext('snapshotDisks', new EngineError('no-space', 'The disk is full.'))
    const asked = done('POST', `/api/nodes/${node.id}/snapshots`, { name: 'frozen', freeze: true })
    await untilSeen('the freeze', async () => (wasFrozen = lab.engine.isGuestFrozen(node.id as never)))
    release()
    expect(await asked).toMatchObject({ state: 'failed', outcome: 'rolled-back', error: { code: 'no_space' } })
    expect([wasFrozen, lab.engine.isGuestFrozen(node.id as never)]).toEqual([true, false])
    await stop(node.id)
    await expectTidy()
  })

  it('with its memory brings the machine back as it was, also its port for an agent', async () => {
    const node = await usedNode()
    await start(node.id)
    await take(node.id, 'moment', { memory: true })
    await stop(node.id)
    await teacher.send('PATCH', `/api/nodes/${node.id}`, { agent: true })
    await restore(node.id, 'moment', { now: true })
    expect(lab.engine.specOf(node.id as never)).toMatchObject({ agent: false, resume: expect.anything() })
    await stop(node.id)
    await expectTidy()
  })

  it('is stopped, restored and started again', async () => {
    const node = await usedNode(7)
    await take(node.id, 'still')
    await writeDisk(layout(), node.id, 9)
    await start(node.id)
    await restore(node.id, 'still')
    expect((await teacher.send('GET', `/api/nodes/${node.id}`)).body.node.status).toBe('running')
    await stop(node.id)
    expect(await readsAs(disk(node.id), 7)).toBe(true)
    await expectTidy()
  })
})

describe('a merge that is cancelled', () => {
  it('leaves the snapshot and the chain as they were', async () => {
    const node = await usedNode(7)
    await teacher.send('POST', `/api/nodes/${node.id}/start`)
    await take(node.id, 'live')
    const held = lab.engine.hold('mergeDown')
    const { operation } = (await teacher.send('DELETE', path(node.id, 'live'))).body
    const step = async () => parts().operations.get(operation.id)?.step.startsWith('Merging')
    await untilSeen('the merge to be under way', step)
    expect((await teacher.send('POST', `/api/operations/${operation.id}/cancel`)).status).toBe(200)
    held()
    expect(await ended(operation.id)).toMatchObject({ state: 'cancelled', outcome: 'rolled-back' })
    expect(record(node.id).backing).toEqual({ kind: 'layer', layerId: rootLayer(node.id, 'live') })
    await teacher.send('POST', `/api/nodes/${node.id}/stop`, { now: true })
    expect(await readsAs(disk(node.id), 7)).toBe(true)
    await expectTidy()
  })
})

describe('a snapshot of a node with a further drive', () => {
  const write = (file: string, byte: number) =>
    run('qemu-io', '-f', 'qcow2', '-c', `write -q -P ${byte} 1M 64k`, `${layout().overlays}/${file}`)
  const reads = (file: string, byte: number) => readsAs(`${layout().overlays}/${file}`, byte)

  it('has both disks at one moment, restores them, and merges them when it is deleted', async () => {
    const node = await usedNode(1)
    const made = await teacher.send('POST', `/api/nodes/${node.id}/drives`, { id: 'data', sizeBytes: 16 * 1024 ** 2 })
    expect(made.status).toBe(201)
    const { file } = record(node.id).drives[0]!
    await write(file, 2)
    await take(node.id, 'both')
    expect(snapshotOf(node.id, 'both').disks.map(({ driveId }) => driveId)).toEqual(['root', 'data'])
    await writeDisk(layout(), node.id, 3)
    await write(file, 4)
    await take(node.id, 'data-only', { drives: ['data'] })
    await restore(node.id, 'both', { drives: ['data'] })
    expect([await readsAs(disk(node.id), 3), await reads(file, 2)]).toEqual([true, true])
    await restore(node.id, 'both')
    expect([await readsAs(disk(node.id), 1), await reads(file, 2)]).toEqual([true, true])
    expect((await teacher.send('POST', `/api/nodes/${node.id}/start`)).status).toBe(200)
    await teacher.send('POST', `/api/nodes/${node.id}/stop`, { now: true })
    await remove(node.id, 'data-only')
    await remove(node.id, 'both')
    expect(record(node.id)).toMatchObject({ backing: { kind: 'image' }, drives: [{ backing: { kind: 'none' } }] })
    expect([await readsAs(disk(node.id), 1), await reads(file, 2)]).toEqual([true, true])
    expect(await chainLength(`${layout().overlays}/${file}`)).toBe(1)
    expect((await teacher.send('GET', `/api/nodes/${node.id}`)).body.node.status).toBe('stopped')
    await expectTidy()
  })

  it('is taken and kept when the node runs and is cloned: all disks are of one moment', async () => {
    const node = await usedNode(1)
    await teacher.send('POST', `/api/nodes/${node.id}/drives`, { id: 'data', sizeBytes: 16 * 1024 ** 2 })
    await write(record(node.id).drives[0]!.file, 2)
    await teacher.send('POST', `/api/nodes/${node.id}/start`)
    const wanted = { name: `twin-${node.name}`, count: 1 }
    const { plan } = (await teacher.send('POST', `/api/nodes/${node.id}/clone?dryRun=true`, wanted)).body
    expect(plan.refusal).toBeNull()
    expect(plan.steps[0]).toMatch(/^Take a live snapshot of all its disks at one moment, kept as before-clone-/)
    const { items } = await well('POST', `/api/nodes/${node.id}/clone`, wanted)
    const clone = record(items[0]!.id!)
    expect([await readsAs(disk(clone.id), 1), await reads(clone.drives[0]!.file, 2)]).toEqual([true, true])
    const kept = parts().store.data.snapshots.filter(({ nodeId }) => nodeId === node.id)
    expect(kept.map(({ name, disks }) => [name.slice(0, 13), disks.length])).toEqual([['before-clone-', 2]])
    expect((await teacher.send('GET', `/api/nodes/${node.id}`)).body.node.status).toBe('running')
    const taken = await teacher.send('POST', `/api/nodes/${node.id}/clone`, wanted)
    expect([taken.status, taken.body.error.code]).toEqual([409, 'name_taken'])
    expect(parts().store.data.snapshots.filter(({ nodeId }) => nodeId === node.id)).toHaveLength(1)
    await teacher.send('POST', `/api/nodes/${node.id}/stop`, { now: true })
    await expectTidy()
  })
})

describe('a delete of the node', () => {
  it('is refused while a snapshot is taken', async () => {
    const node = await usedNode()
    await teacher.send('POST', `/api/nodes/${node.id}/start`)
    const held = lab.engine.hold('snapshotDisks')
    const { body } = await teacher.send('POST', `/api/nodes/${node.id}/snapshots`, { name: 'live' })
    await untilSeen('the snapshot to be under way', async () => parts().nodes.context.locks.busy(node.id as never))
    const answers = [
      await teacher.send('POST', `/api/nodes/${node.id}/stop`, { now: true }),
      await teacher.send('POST', `/api/nodes/${node.id}/snapshots`, { name: 'two' }),
    ]
    expect(answers.map((answer) => [answer.status, answer.body.error.code])).toEqual([
      [409, 'busy'],
      [409, 'busy'],
    ])
    held()
    expect((await ended(body.operation.id)).state).toBe('succeeded')
    await teacher.send('POST', `/api/nodes/${node.id}/stop`, { now: true })
  })
})

describe('an export', () => {
  it('is one disk that needs no other file, and leaves nothing behind', async () => {
    const node = await usedNode(3)
    await take(node.id, 'one')
    await writeDisk(layout(), node.id, 4)
    const response = await fetch(`${lab.url}${path(node.id, 'one')}/export`, {
      headers: { authorization: `Bearer ${teacher.token}` },
    })
    expect(response.headers.get('content-disposition')).toContain(`${node.name}-one.qcow2`)
    const bytes = Buffer.from(await response.arrayBuffer())
    expect(Number(response.headers.get('content-length'))).toBe(bytes.length)
    const saved = join(tmpdir(), `export-${node.id}.qcow2`)
    await writeFile(saved, bytes)
    expect([await readsAs(saved, 3), await chainLength(saved)]).toEqual([true, 1])
    await checkDisk(saved)
    await rm(saved)
    await expectTidy()
  })

  it('that nobody waits for any more leaves nothing behind', async () => {
    const node = await usedNode(3)
    await take(node.id, 'one')
    const gone = new AbortController()
    const request = fetch(`${lab.url}${path(node.id, 'one')}/export`, {
      headers: { authorization: `Bearer ${teacher.token}` },
      signal: gone.signal,
    })
    const exports = () =>
      parts()
        .operations.list()
        .filter(({ kind, target }) => kind === 'snapshot.export' && target?.id === node.id)
    await untilSeen('the export to begin', async () => exports().length > 0)
    gone.abort()
    await expect(request.then((answer) => answer.arrayBuffer())).rejects.toThrow()
    await untilSeen('the export to end', async () => exports().every(({ state: now }) => now !== 'running'))
    const staged = async () => (await readdir(overlayStagingDir(layout())).catch(() => [])).length === 0
    await untilSeen('its copy to be gone', staged)
    await expectTidy()
  })

  it('of a disk that the snapshot does not have is refused', async () => {
    const node = await usedNode()
    await take(node.id, 'one')
    expect((await teacher.send('GET', `${path(node.id, 'one')}/export?drive=data`)).status).toBe(404)
  })
})

describe('automatic snapshots', () => {
  const schedule = (id: string, body: object | null, who: Person = teacher) =>
    who.send('PUT', `/api/nodes/${id}/snapshot-schedule`, { schedule: body })
  const round = () => parts().disks.schedule.run(AUTOMATIC_SNAPSHOTS)
  const names = async (id: string) => (await list(id)).map(({ name }: { name: string }) => name)
  const age = (id: string, days: number) =>
    parts().store.change((draft) => {
      for (const snapshot of draft.snapshots) {
        if (snapshot.nodeId === id)
          snapshot.createdAt = new Date(Date.parse(snapshot.createdAt) - days * 24 * 60 * 60 * 1000).toISOString()
      }
    })

  it('are taken when they are due, of what has changed, and the oldest go; none that a person took', async () => {
    const node = await usedNode(1)
    const idle = await newNode()
    await take(node.id, 'mine')
    await writeDisk(layout(), node.id, 2)
    for (const { id } of [node, idle]) expect((await schedule(id, { daily: 2 })).status).toBe(200)
    for (const byte of [3, 4, 5]) {
      await writeDisk(layout(), node.id, byte)
      await round()
      await round() // not twice
      await age(node.id, 1)
    }
    const found = await names(node.id)
    expect(found).toHaveLength(3)
    expect(found[0]).toMatch(/^auto-daily-\d{8}-\d{4}(-\d)?$/)
    expect(found).toContain('mine')
    expect(await names(idle.id)).toEqual([])
    await round()
    expect(await names(node.id)).toEqual(found) // nothing was written since
    expect(await readsAs(disk(node.id), 5)).toBe(true)
    const entries = await listTrash(layout())
    expect(entries.filter(({ actorLogin }) => actorLogin === 'schedule')).toEqual([])
    expect((await schedule(node.id, null)).status).toBe(200)
  })

  it("follow the lab's settings where the node has no schedule of its own", async () => {
    const node = await usedNode(1)
    const off = await usedNode(1)
    await schedule(off.id, {})
    const lab = (weekly: number) =>
      parts().store.change((draft) => void (draft.settings[0]!.snapshotSchedule = { hourly: 0, daily: 0, weekly }))
    await lab(1)
    await round()
    await lab(0)
    expect(await names(node.id)).toHaveLength(1)
    expect(await names(off.id)).toEqual([])
  })

  it('that fail are told in the history of the node, and keep no other from being taken', async () => {
    const broken = await usedNode(1)
    const node = await usedNode(1)
    for (const { id } of [broken, node]) await schedule(id, { hourly: 1 })
    await teacher.send('POST', `/api/nodes/${broken.id}/start`)
    lab.engine.failNext('snapshotDisks', new EngineError('engine', 'QEMU did not want to.'))
    await round()
    expect(await names(broken.id)).toEqual([])
    expect(record(broken.id).events[0]!.text).toMatch(/automatic snapshot failed.*QEMU did not want to/)
    expect(await names(node.id)).toHaveLength(1)
    await teacher.send('POST', `/api/nodes/${broken.id}/stop`, { now: true })
  })

  it('are no more than a student may keep', async () => {
    const node = await newNode(student)
    const answer = await schedule(node.id, { hourly: 24, daily: 7 }, student)
    expect([answer.status, answer.body.error.code]).toEqual([422, 'quota_reached'])
  })
})

const run = (tool: string, ...args: string[]) => runCommand(tool, args, { timeoutMs: 30_000 })
