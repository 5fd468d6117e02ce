import {
  copyFile,
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import type { DriveView } from '../../src/domain/drive.js'
import { nodeIdSchema } from '../../src/domain/ids.js'
import { overlayFile } from '../../src/domain/layout.js'
import { listTrash } from '../../src/storage/trash-store.js'
import { runCommand } from '../../src/system/command.js'
import { readQcow2Header } from '../../src/system/qcow2.js'
import { addTestImage, startTestLab, type Person, type TestLab } from '../support/lab.js'
import { checkDisk, writeDisk } from '../support/disks.js'
import { untilSeen } from '../support/until.js'

jest.setTimeout(60_000)

const GIB = 1024 ** 3
let lab: TestLab
let teacher: Person
let admin: Person
/** A folder from which drives may be taken. */
let allowed: string

const parts = () => lab.backend.services.lab!
const layout = () => lab.backend.services.config.layout
const record = (id: string) => parts().store.data.nodes.find((node) => node.id === id)!
const fileOf = (drive: DriveView) => `${lab.dataDir}${drive.path}`
const inOverlays = async () => (await readdir(layout().overlays)).filter((name) => !name.startsWith('.')).toSorted()

beforeAll(async () => {
  allowed = await realpath(await mkdtemp(join(tmpdir(), 'sbx-disks-')))
  await runCommand('chmod', ['755', allowed], { timeoutMs: 5000 })
  lab = await startTestLab({ environment: { SANDLABX_IMPORT_FOLDERS: `${allowed}/` } })
  await addTestImage(layout(), parts().store)
  teacher = await lab.person('instructor')
  admin = await lab.person('administrator')
}, 60_000)
afterAll(async () => {
  await lab?.close()
  await rm(allowed, { recursive: true, force: true })
})

let count = 0
const fresh = () => `n${(count += 1)}`

async function newNode(extra: Record<string, unknown> = {}, who: Person = teacher): Promise<string> {
  const answer = await who.send('POST', '/api/nodes', { name: fresh(), image: 'empty', ...extra })
  if (answer.status !== 201) throw new Error(JSON.stringify(answer.body))
  return answer.body.node.id
}

const add = (id: string, body: object, who: Person = teacher, headers = {}) =>
  who.send('POST', `/api/nodes/${id}/drives`, body, headers)
const change = (id: string, drive: string, body: object, who: Person = teacher) =>
  who.send('PATCH', `/api/nodes/${id}/drives/${drive}`, body)
const remove = (id: string, drive: string, query = '') =>
  teacher.send('DELETE', `/api/nodes/${id}/drives/${drive}${query}`)

async function added(id: string, body: object, who: Person = teacher): Promise<DriveView> {
  const answer = await add(id, body, who)
  if (answer.status !== 201) throw new Error(JSON.stringify(answer.body))
  return answer.body.drive
}

async function listed(id: string): Promise<DriveView[]> {
  return (await teacher.send('GET', `/api/nodes/${id}/drives`)).body.drives
}

const power = (id: string, action: 'start' | 'stop') => teacher.send('POST', `/api/nodes/${id}/${action}`, {})
const specOf = (id: string) => lab.engine.specOf(nodeIdSchema.parse(id))

async function rawFile(name: string, mode = '666'): Promise<string> {
  await writeFile(`${allowed}/${name}`, Buffer.alloc(1024 * 1024))
  await runCommand('chmod', [mode, `${allowed}/${name}`], { timeoutMs: 5000 })
  return `${allowed}/${name}`
}

describe('the drives of a node', () => {
  it('are its root disk first, and then those that were added, sparse and of 10 GiB unless told otherwise', async () => {
    const id = await newNode()
    const drive = await added(id, { id: 'data' })
    expect(drive).toMatchObject({ sizeBytes: 10 * GIB, format: 'qcow2', source: 'automatic', missing: false })
    const header = await readQcow2Header(fileOf(drive))
    expect(header).toMatchObject({ virtualSizeBytes: 10 * GIB, clusterBits: 17, backingFile: null })
    expect(drive.usedBytes).toBeLessThan(256 * 1024)
    await checkDisk(fileOf(drive))
    expect((await listed(id)).map((one) => [one.id, one.root])).toEqual([
      ['root', true],
      ['data', false],
    ])
    const [mine, root] = await Promise.all([stat(fileOf(drive)), stat(overlayFile(layout(), id))])
    expect([mine.uid, mine.mode & 0o777]).toEqual([root.uid, 0o600])
    expect(JSON.parse(await readFile(`${layout().overlays}/node_${id}.json`, 'utf8')).record).toEqual(record(id))
  })

  it('change while the node runs, and the guest has them at its next start', async () => {
    const id = await newNode({ start: true })
    const before = await added(id, { id: 'late', sizeBytes: GIB, cache: 'none', io: 'native' })
    expect(before.appliesAtNextStart).toBe(true)
    expect((await teacher.send('GET', `/api/nodes/${id}`)).body.node.drivesPending).toBe(true)
    expect(specOf(id)?.disks.map((disk) => disk.id)).toEqual(['root'])
    await power(id, 'stop')
    expect((await stat(fileOf(before))).isFile()).toBe(true)
    expect((await listed(id))[1]?.appliesAtNextStart).toBe(false)
    await power(id, 'start')
    expect(specOf(id)?.disks[1]).toMatchObject({ id: 'late', sizeBytes: GIB, cache: 'none', io: 'native' })
    expect((await listed(id))[1]?.appliesAtNextStart).toBe(false)
    expect((await teacher.send('GET', `/api/nodes/${id}`)).body.node.drivesPending).toBe(false)
    expect((await remove(id, 'late')).status).toBe(204)
    expect((await teacher.send('GET', `/api/nodes/${id}`)).body.node.drivesPending).toBe(true)
  })

  it('are added once, however often the same request comes', async () => {
    const id = await newNode()
    const key = { 'idempotency-key': 'drive-once' }
    const [one, two] = await Promise.all([add(id, { id: 'once' }, teacher, key), add(id, { id: 'once' }, teacher, key)])
    expect([one.status, two.status]).toEqual([201, 201])
    expect(two.body).toEqual(one.body)
    expect(record(id).drives).toHaveLength(1)
    expect(await add(id, { id: 'other' }, teacher, key)).toMatchObject({ status: 409 })
  })

  it('are seen by the owner, and changed by instructors', async () => {
    const student = await lab.person('student')
    const id = await newNode({}, student)
    expect((await student.send('GET', `/api/nodes/${id}/drives`)).status).toBe(200)
    expect((await add(id, { id: 'more' }, student)).status).toBe(403)
    expect((await add(id, { id: 'more' }, teacher)).status).toBe(201)
  })

  it('show beforehand what would be done, and do nothing then', async () => {
    const id = await newNode({ start: true })
    const files = await inOverlays()
    const plan = (await teacher.send('POST', `/api/nodes/${id}/drives?dryRun=true`, { id: 'data' })).body.plan
    expect(plan).toMatchObject({ kind: 'drive.create', creates: [{ type: 'drive', name: 'data' }], refusal: null })
    expect(plan.warnings.join()).toMatch(/next start/)
    const refused = (await teacher.send('POST', `/api/nodes/${id}/drives?dryRun=true`, { id: 'root' })).body.plan
    expect(refused.refusal.code).toBe('drive_exists')
    expect(await inOverlays()).toEqual(files)
    expect(record(id).drives).toEqual([])
  })
})

describe('a drive that is refused', () => {
  it.each<[string, object, string]>([
    ['the id of the root disk', { id: 'root' }, 'drive_exists'],
    ['an id with a slash', { id: 'a/b' }, 'bad_request'],
    ['the id of the seed', { id: 'seed' }, 'bad_request'],
    ['an id that the guest could not tell from another', { id: 'twenty-letters-long-b' }, 'drive_exists'],
    ['an id that is taken', { id: 'twenty-letters-long-a' }, 'drive_exists'],
    ['a second root disk', { id: 'x', root: true }, 'unsupported'],
    ['a rate limit of -1', { id: 'x', limits: { bytesPerSecond: -1 } }, 'bad_request'],
    ['a rate limit that is no number', { id: 'x', limits: { bytesPerSecond: 'NaN' } }, 'bad_request'],
    ['a burst without a limit', { id: 'x', limits: { burstBytesPerSecond: 5 } }, 'bad_request'],
    [
      'a burst below its limit',
      { id: 'x', limits: { operationsPerSecond: 9, burstOperationsPerSecond: 5 } },
      'bad_request',
    ],
    ['io native through the cache', { id: 'x', io: 'native' }, 'bad_request'],
    ['a field that nobody knows', { id: 'x', bus: 'scsi' }, 'unknown_field'],
    ['a disk larger than any', { id: 'x', sizeBytes: 65 * 1024 ** 4 }, 'bad_request'],
    ['a path and a size', { id: 'x', path: '/overlays/x.qcow2', sizeBytes: GIB }, 'bad_request'],
    ['a file that is not there', { id: 'x', path: '/overlays/none.qcow2' }, 'storage_not_found'],
    ['a file outside of what is allowed', { id: 'x', path: '/etc/passwd' }, 'path_not_allowed'],
    ['a path that climbs out', { id: 'x', path: '/overlays/../state/nodes-state.json' }, 'path_not_allowed'],
    ['a relative path', { id: 'x', path: 'overlays/x.qcow2' }, 'path_not_allowed'],
    ['the staging folder', { id: 'x', path: '/overlays/.staging/x' }, 'path_not_allowed'],
    ['a base image', { id: 'x', path: '/images/empty.qcow2' }, 'storage_in_use'],
  ])('says why for %s, and writes nothing', async (_what, body, code) => {
    const id = await newNode()
    await added(id, { id: 'twenty-letters-long-a' })
    const [files, before] = [await inOverlays(), record(id)]
    const answer = await add(id, body, admin)
    expect(answer.body.error.code).toBe(code)
    expect(answer.status).toBeLessThan(500)
    expect(await inOverlays()).toEqual(files)
    expect(record(id)).toEqual(before)
  })

  it('is the seventeenth', async () => {
    const id = await newNode()
    for (let index = 1; index <= 16; index += 1) await added(id, { id: `d${index}`, sizeBytes: GIB })
    expect((await add(id, { id: 'd17' })).body.error.code).toBe('quota_reached')
    expect(record(id).drives).toHaveLength(16)
  })

  it("is another node's disk, by whatever name", async () => {
    const [one, other] = [await newNode(), await newNode()]
    const drive = await added(one, { id: 'data' })
    for (const path of [`/overlays/node_${one}.qcow2`, drive.path, fileOf(drive)]) {
      expect((await add(other, { id: 'x', path }, admin)).body.error.code).toBe('storage_in_use')
    }
    await link(fileOf(drive), `${allowed}/second-name.qcow2`)
    const byLink = await add(other, { id: 'x', path: `${allowed}/second-name.qcow2` }, admin)
    expect(byLink.body.error.code).toBe('hostile_header')
    await rm(`${allowed}/second-name.qcow2`)
  })

  it('reaches for other files: through a link, a backing file, or by being no file', async () => {
    const id = await newNode()
    await symlink('/etc/passwd', `${allowed}/link.raw`)
    const make = (...args: string[]) =>
      runCommand('qemu-img', ['create', '-q', '-f', 'qcow2', ...args], { timeoutMs: 9000 })
    await make('-F', 'raw', '-b', '/etc/passwd', `${allowed}/backed.qcow2`, '1M')
    await make('-o', `data_file=${allowed}/data.raw`, `${allowed}/outside.qcow2`, '1M')
    await runCommand('mkfifo', [`${allowed}/fifo.raw`], { timeoutMs: 5000 })
    await mkdir(`${allowed}/folder.raw`)
    const codeOf = async (name: string) => (await add(id, { id: 'x', path: `${allowed}/${name}` })).body.error.code
    expect(await codeOf('link.raw')).toBe('path_not_allowed')
    for (const name of ['backed.qcow2', 'outside.qcow2', 'fifo.raw', 'folder.raw']) {
      expect([name, await codeOf(name)]).toEqual([name, 'hostile_header'])
    }
    expect(record(id).drives).toEqual([])
  })

  it("is an orphan of somebody who is not one of the instructor's students", async () => {
    const id = await newNode({}, admin)
    const drive = await added(id, { id: 'secret' }, admin)
    expect((await admin.send('DELETE', `/api/nodes/${id}/drives/secret`)).status).toBe(204)
    const mine = await newNode()
    expect((await add(mine, { id: 'x', path: drive.path })).body.error.code).toBe('not_allowed')
    expect((await add(mine, { id: 'x', path: drive.path }, admin)).status).toBe(201)
  })
})

describe("a person's own file", () => {
  it('is given to the guest as it is, and is never touched by us', async () => {
    const id = await newNode()
    const path = await rawFile('own.raw')
    const before = await stat(path)
    expect(await added(id, { id: 'own', path })).toMatchObject({ source: 'file', format: 'raw', path })
    await power(id, 'start')
    expect(specOf(id)?.disks[1]).toMatchObject({ path, format: 'raw', readOnly: false })
    await power(id, 'stop')
    expect((await remove(id, 'own', '?deleteStorage=true')).status).toBe(204)
    const { ino, uid, mode, mtimeMs } = await stat(path)
    expect({ ino, uid, mode, mtimeMs }).toEqual({
      ino: before.ino,
      uid: before.uid,
      mode: before.mode,
      mtimeMs: before.mtimeMs,
    })
  })

  it('is refused when the guest could not open it, with what to do about it', async () => {
    const id = await newNode()
    const path = await rawFile('private.raw', '644')
    const answer = await add(id, { id: 'own', path })
    expect(answer.body.error).toMatchObject({ code: 'not_allowed', message: expect.stringMatching(/chmod o\+rw/) })
    expect((await add(id, { id: 'own', path, readOnly: true })).status).toBe(201)
  })

  it('may be read by several nodes, and written by one', async () => {
    const [one, other] = [await newNode(), await newNode()]
    const path = await rawFile('shared.raw')
    await added(one, { id: 'shared', path, readOnly: true })
    await added(other, { id: 'shared', path, readOnly: true })
    expect((await change(one, 'shared', { readOnly: false })).body.error.code).toBe('storage_in_use')
    expect((await add(await newNode(), { id: 'x', path })).body.error.code).toBe('storage_in_use')
  })

  it('breaks its node when it is gone, by name, and no other', async () => {
    const id = await newNode()
    const path = await rawFile('lost.raw')
    await added(id, { id: 'own', path })
    await rm(path)
    const answer = await power(id, 'start')
    expect(answer.body.error).toMatchObject({ code: 'node_broken', message: expect.stringContaining(path) })
    const node = (await teacher.send('GET', `/api/nodes/${id}`)).body.node
    expect(node).toMatchObject({ status: 'broken', statusReason: expect.stringContaining('own') })
    expect((await listed(id))[1]?.missing).toBe(true)
    await remove(id, 'own')
    expect((await teacher.send('GET', `/api/nodes/${id}`)).body.node.status).toBe('stopped')
  })
})

describe('a change of a drive', () => {
  it('keeps what is not asked for', async () => {
    const id = await newNode()
    await added(id, { id: 'data', limits: { bytesPerSecond: 1000, burstBytesPerSecond: 5000 } })
    await change(id, 'data', { limits: { operationsPerSecond: 50 } })
    const changed = (await change(id, 'data', { readOnly: true })).body.drive
    expect(changed).toMatchObject({ readOnly: true, cache: 'writeback' })
    expect(changed.limits).toEqual({
      bytesPerSecond: 1000,
      burstBytesPerSecond: 5000,
      operationsPerSecond: 50,
      burstOperationsPerSecond: null,
    })
    const refused = await change(id, 'data', { limits: { bytesPerSecond: null } })
    expect(refused.body.error).toMatchObject({ code: 'bad_request', message: expect.stringMatching(/burst/) })
  })

  it('is told as waiting for the next start while the node runs, of the root disk as well', async () => {
    const id = await newNode({ start: true })
    expect((await change(id, 'root', { cache: 'writethrough' })).body.drive.appliesAtNextStart).toBe(true)
    await power(id, 'stop')
    await power(id, 'start')
    expect(specOf(id)?.disks[0]).toMatchObject({ id: 'root', cache: 'writethrough' })
    expect((await listed(id))[0]?.appliesAtNextStart).toBe(false)
  })

  it('grows the disk of a stopped node, and only grows it', async () => {
    const id = await newNode()
    const drive = await added(id, { id: 'data', sizeBytes: GIB })
    expect((await change(id, 'data', { sizeBytes: 40 * GIB })).body.drive.sizeBytes).toBe(40 * GIB)
    expect((await readQcow2Header(fileOf(drive))).virtualSizeBytes).toBe(40 * GIB)
    await checkDisk(fileOf(drive))
    expect((await change(id, 'root', { sizeBytes: 2 * GIB })).body.drive.sizeBytes).toBe(2 * GIB)
    expect((await change(id, 'data', { sizeBytes: GIB })).body.error.code).toBe('disk_too_small')
    await power(id, 'start')
    const running = await change(id, 'root', { sizeBytes: 3 * GIB })
    expect(running.body.error).toMatchObject({ code: 'wrong_status', message: expect.stringMatching(/Stop it first/) })
    expect(record(id).diskBytes).toBe(2 * GIB)
  })

  it('of a size is refused where the disk has no room for it, and leaves it as it was', async () => {
    const id = await newNode()
    const drive = await added(id, { id: 'data', sizeBytes: GIB })
    expect((await change(id, 'data', { sizeBytes: 30 * 1024 * GIB })).body.error.code).toBe('unsupported')
    expect((await readQcow2Header(fileOf(drive))).virtualSizeBytes).toBe(GIB)
    expect((await listed(id))[1]?.sizeBytes).toBe(GIB)
  })

  it('never makes the root disk read-only, nor takes it away', async () => {
    const id = await newNode()
    expect((await change(id, 'root', { readOnly: true })).body.error.message).toMatch(/could not boot/)
    expect((await remove(id, 'root')).body.error.code).toBe('unsupported')
    const move = await teacher.send('POST', `/api/nodes/${id}/drives/root/move`, { toNodeId: await newNode() })
    expect(move.body.error.code).toBe('unsupported')
    expect((await remove(id, 'none')).status).toBe(404)
  })
})

describe('a drive that is removed', () => {
  it('is kept with a record of whose it was, and can be added again', async () => {
    const id = await newNode()
    const drive = await added(id, { id: 'data' })
    const plan = (await remove(id, 'data', '?dryRun=true')).body.plan
    expect(plan.files).toEqual([expect.objectContaining({ path: drive.path, fate: expect.stringMatching(/kept/) })])
    expect((await remove(id, 'data')).status).toBe(204)
    const sidecar = JSON.parse(await readFile(fileOf(drive).replace('.qcow2', '.json'), 'utf8'))
    expect(sidecar).toMatchObject({ kind: 'sandlabx-drive', node: { id, ownerId: teacher.id }, record: { id: 'data' } })
    const other = await newNode()
    const again = await added(other, { id: 'found', path: drive.path }, admin)
    expect(again).toMatchObject({ source: 'file', sizeBytes: 10 * GIB })
    expect((await inOverlays()).filter((name) => name.startsWith('drive_') && name.endsWith('.json'))).not.toContain(
      drive.path.replace('/overlays/', '').replace('.qcow2', '.json'),
    )
    await power(other, 'start')
    expect(specOf(other)?.disks[1]).toMatchObject({ id: 'found' })
  })

  it('moves to the trash when its storage goes, with all that is needed to bring it back', async () => {
    const id = await newNode({ start: true })
    const drive = await added(id, { id: 'data' })
    expect((await remove(id, 'data', '?deleteStorage=true')).status).toBe(204)
    await expect(stat(fileOf(drive))).rejects.toMatchObject({ code: 'ENOENT' })
    const entry = (await listTrash(layout())).find(({ drives }) => drives.some(({ file }) => drive.path.endsWith(file)))
    expect(entry).toMatchObject({ reason: 'drive-deleted', node: { id }, actorLogin: teacher.login })
    expect(entry?.files).toEqual([expect.objectContaining({ was: drive.path.replace('/overlays/', '') })])
  })

  it('goes with its node to the trash, and stays when the storage of the node stays', async () => {
    const [trashed, kept] = [await newNode(), await newNode()]
    const [one, two] = [await added(trashed, { id: 'data' }), await added(kept, { id: 'data' })]
    const path = await rawFile('stays.raw')
    await added(trashed, { id: 'own', path })
    expect((await teacher.send('DELETE', `/api/nodes/${trashed}?deleteStorage=true`)).status).toBe(204)
    expect((await teacher.send('DELETE', `/api/nodes/${kept}`)).status).toBe(204)
    await expect(stat(fileOf(one))).rejects.toMatchObject({ code: 'ENOENT' })
    expect((await stat(fileOf(two))).isFile()).toBe(true)
    expect((await stat(path)).isFile()).toBe(true)
    const entry = (await listTrash(layout())).find(({ node }) => node?.id === trashed)
    expect(entry?.files.map(({ was }) => was)).toContain(one.path.replace('/overlays/', ''))
  })
})

describe('an automatic drive whose file is missing', () => {
  it('is made again with its size at the next start, and the history says so', async () => {
    const id = await newNode()
    const drive = await added(id, { id: 'data', sizeBytes: 3 * GIB })
    await rm(fileOf(drive))
    expect((await listed(id))[1]?.missing).toBe(true)
    expect((await power(id, 'start')).status).toBe(200)
    expect((await readQcow2Header(fileOf(drive))).virtualSizeBytes).toBe(3 * GIB)
    expect((await stat(fileOf(drive))).uid).toBe((await stat(overlayFile(layout(), id))).uid)
    const { events } = (await teacher.send('GET', `/api/nodes/${id}/events`)).body
    expect(events).toContainEqual(
      expect.objectContaining({ kind: 'warning', text: expect.stringMatching(/data .*was missing.*3\.0 GiB/) }),
    )
  })

  it('is not made again over one that is damaged: that is told', async () => {
    const id = await newNode()
    const drive = await added(id, { id: 'data' })
    await writeFile(fileOf(drive), 'not a disk')
    const answer = await power(id, 'start')
    expect(answer.body.error).toMatchObject({ code: 'node_broken', message: expect.stringMatching(/data .*damaged/) })
    expect(await readFile(fileOf(drive), 'utf8')).toBe('not a disk')
  })
})

describe('a move to another node', () => {
  it('takes the drive with its file, under a new id where asked', async () => {
    const [from, to] = [await newNode(), await newNode({ start: true })]
    const drive = await added(from, { id: 'data' })
    const answer = await teacher.send('POST', `/api/nodes/${from}/drives/data/move`, { toNodeId: to, newId: 'theirs' })
    expect(answer.body.drive).toMatchObject({ id: 'theirs', path: drive.path, appliesAtNextStart: true })
    expect(record(from).drives).toEqual([])
    expect((await stat(fileOf(drive))).uid).toBe((await stat(overlayFile(layout(), to))).uid)
    expect(JSON.parse(await readFile(`${layout().overlays}/node_${to}.json`, 'utf8')).record).toEqual(record(to))
  })

  it('is refused while the guest may have it open, to itself, and to a node of others', async () => {
    const [from, to] = [await newNode(), await newNode()]
    const foreign = await newNode({}, admin)
    await added(from, { id: 'data' })
    await added(to, { id: 'data' })
    const move = async (body: object) =>
      (await teacher.send('POST', `/api/nodes/${from}/drives/data/move`, body)).body.error.code
    expect(await move({ toNodeId: to })).toBe('drive_exists')
    expect(await move({ toNodeId: from })).toBe('bad_request')
    expect(await move({ toNodeId: foreign })).toBe('not_found')
    await power(from, 'start')
    expect(await move({ toNodeId: to, newId: 'x' })).toBe('wrong_status')
  })
})

describe('files that lie in our folders', () => {
  it('may be added when nothing names them, read-only from images/', async () => {
    const id = await newNode()
    await copyFile(`${layout().images}/empty.qcow2`, `${layout().images}/spare.qcow2`)
    await runCommand('chmod', ['444', `${layout().images}/spare.qcow2`], { timeoutMs: 5000 })
    const drive = await added(id, { id: 'spare', path: '/images/spare.qcow2', readOnly: true }, admin)
    expect(drive).toMatchObject({ path: '/images/spare.qcow2', format: 'qcow2', readOnly: true })
    expect((await power(id, 'start')).status).toBe(200)
  })
})

describe('a clone of a node with drives', () => {
  const qemuIo = (command: string, path: string) =>
    runCommand('qemu-io', ['-f', 'qcow2', '-c', command, path], { timeoutMs: 30_000 })
  const holds = async (path: string, byte: number) =>
    !(await qemuIo(`read -P ${byte} 1M 64k`, path)).stdout.includes('verification failed')

  async function ended(id: string) {
    const look = async () => {
      const { operation } = (await admin.send('GET', `/api/operations/${id}`)).body
      return operation.state !== 'running' && operation
    }
    return untilSeen(`operation ${id} to end`, look, 30_000)
  }

  async function cloned(id: string, body: object): Promise<string> {
    const { body: begun, status } = await teacher.send('POST', `/api/nodes/${id}/clone`, body)
    if (status !== 202) throw new Error(JSON.stringify(begun))
    const operation = await ended(begun.operation.id)
    if (operation.state !== 'succeeded') throw new Error(JSON.stringify(operation.error))
    return operation.items[0].id
  }

  /** Two drives, one with something on it, and a file of a person. */
  async function source(): Promise<{ id: string; used: DriveView; own: string }> {
    const id = await newNode()
    await writeDisk(layout(), id, 3)
    const used = await added(id, { id: 'used', sizeBytes: GIB, limits: { bytesPerSecond: 5_000_000 } })
    await added(id, { id: 'empty', sizeBytes: 2 * GIB })
    const own = await rawFile(`${fresh()}.raw`)
    await added(id, { id: 'own', path: own })
    await qemuIo('write -q -P 7 1M 64k', fileOf(used))
    return { id, used, own }
  }

  it.each([false, true])(
    'has drives of its own with the same content, and no file of a person (full: %s)',
    async (full) => {
      const { id, used } = await source()
      const plan = await teacher.send('POST', `/api/nodes/${id}/clone?dryRun=true`, { name: fresh(), full })
      expect(plan.body.plan.warnings.join()).toMatch(/own is a file of your own/)
      const clone = await cloned(id, { name: fresh(), full })
      const [root, one, two, ...more] = await listed(clone)
      expect([root?.id, one?.id, two?.id, more]).toEqual(['root', 'used', 'empty', []])
      expect(one).toMatchObject({ sizeBytes: GIB, limits: { bytesPerSecond: 5_000_000 }, missing: false })
      expect(one?.path).not.toBe(used.path)
      expect(await holds(fileOf(one!), 7)).toBe(true)
      expect((await readQcow2Header(fileOf(two!))).virtualSizeBytes).toBe(2 * GIB)
      if (full) expect((await readQcow2Header(fileOf(one!))).backingFile).toBeNull()

      await qemuIo('write -q -P 9 1M 64k', fileOf(one!))
      expect(await holds(fileOf(used), 7)).toBe(true)
      await qemuIo('write -q -P 8 1M 64k', fileOf(used))
      expect(await holds(fileOf(one!), 9)).toBe(true)
      await Promise.all([checkDisk(fileOf(one!)), checkDisk(fileOf(used))])
      for (const node of [id, clone]) expect((await power(node, 'start')).status).toBe(200)
      expect(specOf(clone)?.disks.map((disk) => disk.id)).toEqual(['root', 'used', 'empty'])
    },
  )

  it('keeps the drives in the snapshot that is taken first', async () => {
    const { id } = await source()
    const clone = await cloned(id, { name: fresh(), snapshotFirst: true })
    const snapshot = parts().store.data.snapshots.find(({ nodeId }) => nodeId === id)
    expect(snapshot?.disks.map(({ driveId }) => driveId)).toEqual(['root', 'used', 'empty'])
    const again = await cloned(id, { name: fresh(), snapshot: snapshot?.name })
    expect(await holds(fileOf((await listed(again))[1]!), 7)).toBe(true)
    expect((await listed(clone)).map((drive) => drive.id)).toEqual(['root', 'used', 'empty'])
  })
})
