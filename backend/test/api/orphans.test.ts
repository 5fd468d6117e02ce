import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { link, mkdir, readdir, rename, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { overlayFile, overlayFileName, suspendedFileName } from '../../src/domain/layout.js'
import type { Operation } from '../../src/domain/operation.js'
import type { Orphan } from '../../src/domain/storage.js'
import { listTrash } from '../../src/storage/trash-store.js'
import { addTestImage, startTestLab, type Person, type TestLab } from '../support/lab.js'
import { writeDisk } from '../support/disks.js'
import { untilSeen } from '../support/until.js'

jest.setTimeout(60_000)
const run = promisify(execFile)

let lab: TestLab
let admin: Person
let student: Person
const layout = () => lab.backend.services.config.layout

beforeAll(async () => {
  lab = await startTestLab()
  await addTestImage(layout(), lab.backend.services.lab!.store)
  admin = await lab.person('administrator')
  student = await lab.person('student')
}, 60_000)
afterAll(() => lab?.close())

let count = 0
const newNode = async (who = admin): Promise<{ id: string; name: string }> =>
  (await who.send('POST', '/api/nodes', { name: `o${(count += 1)}`, image: 'empty' })).body.node
const list = async (): Promise<{ orphans: Orphan[]; totalBytes: number }> =>
  (await admin.send('GET', '/api/storage/orphans')).body
const orphan = async (path: string) => (await list()).orphans.find((one) => one.path === path)
const diskOf = (id: string) => `/overlays/${overlayFileName(id)}`

async function ended(id: string): Promise<Operation> {
  return untilSeen(`operation ${id} to end`, async () => {
    const { body } = await admin.send('GET', `/api/operations/${id}`)
    return body.operation.state !== 'running' && (body.operation as Operation)
  })
}

describe('the list of orphans', () => {
  it('is empty while every disk has its record', async () => {
    await newNode()
    expect(await list()).toEqual({ orphans: [], totalBytes: 0 })
  })

  it('shows a disk that was kept when its node was deleted, with whose it was', async () => {
    const node = await newNode(student)
    await writeDisk(layout(), node.id, 7)
    await student.send('DELETE', `/api/nodes/${node.id}`)
    const { orphans, totalBytes } = await list()
    expect(orphans).toHaveLength(1)
    expect(orphans[0]).toMatchObject({
      path: diskOf(node.id),
      format: 'qcow2',
      kind: 'disk',
      virtualSizeBytes: 16 * 1024 ** 2,
      formerly: { nodeName: node.name, nodeId: node.id, ownerId: student.id, ownerLogin: student.login },
      snapshotName: null,
      backing: { path: '/images/empty.qcow2', present: true },
      fault: null,
    })
    expect(totalBytes).toBe(orphans[0]!.usedBytes)
    expect(totalBytes).toBeGreaterThan(0)
  })

  it('goes on past a pipe, a folder, links, and headers that are forged, and deletes nothing', async () => {
    const { overlays, images } = layout()
    const before = (await list()).orphans.length
    await run('mkfifo', [join(overlays, 'pipe.qcow2')])
    await mkdir(join(overlays, 'folder.img'))
    await symlink('loop.raw', join(overlays, 'loop.raw'))
    await writeFile(join(images, 'stray.qcow2'), 'not a disk')
    await writeFile(join(overlays, 'raw.img'), '')
    await truncate(join(overlays, 'raw.img'), 1024 ** 2)
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', join(overlays, 'twin.qcow2'), '1M'])
    await link(join(overlays, 'twin.qcow2'), join(overlays, 'twin-2.qcow2'))
    const { orphans, totalBytes } = await list()
    expect(orphans).toHaveLength(before + 4)
    expect(await orphan('/images/stray.qcow2')).toMatchObject({
      format: 'unknown',
      fault: expect.stringContaining('no qcow2'),
    })
    expect(await orphan('/overlays/raw.img')).toMatchObject({ format: 'raw', fault: null })
    expect((await orphan('/overlays/twin.qcow2'))?.fault).toContain('2 names')
    const twice = orphans.reduce((sum, { usedBytes }) => sum + usedBytes, 0)
    expect(totalBytes).toBe(twice - (await orphan('/overlays/twin.qcow2'))!.usedBytes) // one file with two names
    expect(await readdir(overlays)).toEqual(
      expect.arrayContaining(['pipe.qcow2', 'folder.img', 'loop.raw', 'twin.qcow2']),
    )
  })

  it('does not show what a linked clone stands on', async () => {
    const node = await newNode()
    await writeDisk(layout(), node.id, 1)
    const answer = await admin.send('POST', `/api/nodes/${node.id}/clone`, { name: `c${node.name}` })
    await ended(answer.body.operation.id)
    await admin.send('DELETE', `/api/nodes/${node.id}`)
    const { orphans } = await list()
    expect(orphans.filter(({ path }) => path.includes('layer_'))).toEqual([])
    expect(await orphan(diskOf(node.id))).toMatchObject({ backing: { present: true } })
  })
})

describe('discarding an orphan', () => {
  it('moves it to the trash with its record, and it can be restored from there', async () => {
    const node = await newNode()
    await admin.send('DELETE', `/api/nodes/${node.id}`)
    const path = diskOf(node.id)
    const planned = await admin.send('POST', '/api/storage/discard?dryRun=true', { path })
    expect(planned.body.plan).toMatchObject({ refusal: null, files: [{ path, fate: 'moves to the trash' }] })
    expect(await orphan(path)).toBeDefined()
    const { status, body } = await admin.send('POST', '/api/storage/discard', { path })
    expect(status).toBe(202)
    expect(await ended(body.operation.id)).toMatchObject({ state: 'succeeded', kind: 'storage.discard' })
    expect(await orphan(path)).toBeUndefined()
    const [entry] = await listTrash(layout())
    expect(entry).toMatchObject({ reason: 'orphan', actorLogin: admin.login, node: { id: node.id } })
    expect(entry?.files.map(({ name }) => name)).toEqual([overlayFileName(node.id), `node_${node.id}.json`])
  })

  it('lists the memory of a guest that no record names, never attaches it, and takes it to the trash and back', async () => {
    const name = suspendedFileName(randomUUID())
    const path = `/overlays/${name}`
    await writeFile(join(layout().overlays, name), Buffer.alloc(8192, 7)) // as long as a raw disk could be
    expect(await orphan(path)).toMatchObject({ kind: 'memory', format: 'unknown', virtualSizeBytes: null })
    expect((await orphan(path))?.fault).toMatch(/memory of a suspended guest/)
    const attached = await admin.send('POST', '/api/storage/attach', { path, name: 'never' })
    expect([attached.status, attached.body.error.code]).toEqual([403, 'path_not_allowed'])

    const { status, body } = await admin.send('POST', '/api/storage/discard', { path })
    expect(status).toBe(202)
    expect(await ended(body.operation.id)).toMatchObject({ state: 'succeeded' })
    expect(await orphan(path)).toBeUndefined()
    const entry = (await listTrash(layout())).find(({ files }) => files.some((file) => file.name === name))!
    const restored = await admin.send('POST', `/api/trash/${entry.id}/restore`, {})
    expect(await ended(restored.body.operation.id)).toMatchObject({ state: 'succeeded' })
    expect(await orphan(path)).toMatchObject({ kind: 'memory', sizeBytes: 8192 })
  })

  it.each([
    ['a disk that is not there', '/overlays/nothing.qcow2', 404, 'storage_not_found'],
    ['a path outside', '/etc/passwd.img', 403, 'path_not_allowed'],
    ['a way round', '/overlays/../state/x.qcow2', 403, 'path_not_allowed'],
    ['a hidden folder', '/overlays/.trash/x.qcow2', 403, 'path_not_allowed'],
    ['a base image', '/images/empty.qcow2', 409, 'storage_in_use'],
  ])('refuses %s', async (_what, path, status, code) => {
    const answer = await admin.send('POST', '/api/storage/discard', { path })
    expect([answer.status, answer.body.error.code]).toEqual([status, code])
    expect(answer.body.error.hint).toBeTruthy()
  })

  it('refuses the disk of a node, and one that another disk stands on', async () => {
    const node = await newNode()
    const own = await admin.send('POST', '/api/storage/discard', { path: diskOf(node.id) })
    expect(own.body.error.code).toBe('storage_in_use')
    await admin.send('DELETE', `/api/nodes/${node.id}`)
    await rename(overlayFile(layout(), node.id), join(layout().overlays, 'below.qcow2'))
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', 'below.qcow2', 'above.qcow2'], {
      cwd: layout().overlays,
    })
    const below = await admin.send('POST', '/api/storage/discard', { path: '/overlays/below.qcow2' })
    expect(below.body.error).toMatchObject({ code: 'storage_in_use', message: expect.stringContaining('above.qcow2') })
  })
})
