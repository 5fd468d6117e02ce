import { execFile, spawn } from 'node:child_process'
import {
  copyFile,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { overlayFile, overlayFileName, overlayStagingDir, sidecarFile } from '../../src/domain/layout.js'
import type { Operation } from '../../src/domain/operation.js'
import { addTestImage, startTestLab, type Person, type TestLab } from '../support/lab.js'
import { chainLength, checkDisk, readsAs, writeDisk } from '../support/disks.js'
import { untilSeen } from '../support/until.js'

jest.setTimeout(90_000)
const run = promisify(execFile)

let lab: TestLab
let admin: Person
let teacher: Person
let student: Person
const parts = (one = lab) => one.backend.services.lab!
const layout = (one = lab) => one.backend.services.config.layout
const record = (id: string, one = lab) => parts(one).store.data.nodes.find((node) => node.id === id)!
const diskOf = (id: string) => `/overlays/${overlayFileName(id)}`

beforeAll(async () => {
  lab = await startTestLab()
  await addTestImage(layout(), parts().store)
  admin = await lab.person('administrator')
  teacher = await lab.person('instructor')
  student = await lab.person('student')
}, 60_000)
afterAll(() => lab?.close())

let count = 0
const fresh = () => `a${(count += 1)}`

async function newNode(who = admin, extra: object = {}): Promise<{ id: string; name: string }> {
  const answer = await who.send('POST', '/api/nodes', { name: fresh(), image: 'empty', ...extra })
  if (answer.status !== 201) throw new Error(JSON.stringify(answer.body))
  return answer.body.node
}

/** Deleted with its disk kept, on which there is something. */
async function keptNode(byte = 7, who = admin, extra: object = {}) {
  const node = await newNode(who, extra)
  await writeDisk(layout(), node.id, byte)
  const before = record(node.id)
  await who.send('DELETE', `/api/nodes/${node.id}`)
  return { ...node, before }
}

async function ended(id: string, who = admin): Promise<Operation> {
  return untilSeen(`operation ${id} to end`, async () => {
    const { body } = await who.send('GET', `/api/operations/${id}`)
    return body.operation.state !== 'running' && (body.operation as Operation)
  })
}

async function attach(body: object, who = admin, path = '/api/storage/attach'): Promise<Operation> {
  const answer = await who.send('POST', path, body)
  if (answer.status !== 202) throw new Error(JSON.stringify(answer.body))
  return ended(answer.body.operation.id, who)
}

async function refusal(body: object, who = admin, path = '/api/storage/attach') {
  const answer = await who.send('POST', path, body)
  expect(answer.status).toBeGreaterThanOrEqual(400)
  expect(answer.body.error.hint).toBeTruthy()
  return answer.body.error as { code: string; message: string; hint: string; details: Record<string, unknown> }
}

async function expectTidy(one = lab) {
  expect(await readdir(overlayStagingDir(layout(one))).catch(() => [])).toEqual([])
  expect(await readdir(`${layout(one).state}/journal`)).toEqual([])
}

const yaml = (name: string, file: string, more = '', type = 'qcow2') =>
  `name: ${name}\narguments:\n  - m: 128M\n  - smp: 2\nstorage:\n  - {name: hdd, type: ${type}, file: ${file}}\n${more}`

describe('attaching a disk with the record beside it', () => {
  it('brings the whole former node back over the very file', async () => {
    const { id, name, before } = await keptNode(9, student, { cpus: 2, memoryMib: 128 })
    const { ino } = await stat(overlayFile(layout(), id))
    const operation = await attach({ path: diskOf(id) })
    expect(operation).toMatchObject({ state: 'succeeded', kind: 'node.attach', target: { type: 'node', id } })
    const now = record(id)
    expect(now).toMatchObject({ name, ownerId: student.id, mac: before.mac, cpus: 2, memoryMib: 128 })
    expect(now.guest).toEqual(before.guest)
    expect((await stat(overlayFile(layout(), id))).ino).toBe(ino)
    expect(await readsAs(overlayFile(layout(), id), 9)).toBe(true)
    expect(JSON.parse(await readFile(sidecarFile(layout(), id), 'utf8')).status).toBe('attached')
    expect((await student.send('POST', `/api/nodes/${id}/start`)).status).toBe(200)
    await expectTidy()
  })

  it('is planned first: the same checks, and nothing happens', async () => {
    const { id, name } = await keptNode()
    const { body } = await admin.send('POST', '/api/storage/attach?dryRun=true', { path: diskOf(id) })
    expect(body.plan).toMatchObject({
      refusal: null,
      creates: [{ type: 'node', name }],
      title: expect.stringContaining(name),
    })
    expect(record(id)).toBeUndefined()
    const bad = await admin.send('POST', '/api/storage/attach?dryRun=true', { path: '/overlays/none.qcow2' })
    expect(bad.body.plan.refusal.code).toBe('storage_not_found')
  })

  it('asks for another name when its own is taken', async () => {
    const { id, name } = await keptNode()
    await admin.send('POST', '/api/nodes', { name, image: 'empty' })
    const error = await refusal({ path: diskOf(id) })
    expect(error).toMatchObject({ code: 'name_taken', hint: expect.stringContaining(`${name}-back`) })
    const other = fresh()
    await attach({ path: diskOf(id), name: other })
    expect(record(id).name).toBe(other)
  })

  it('brings its snapshots back, whose layers are there', async () => {
    const node = await newNode()
    await writeDisk(layout(), node.id, 3)
    const made = await admin.send('POST', `/api/nodes/${node.id}/snapshots`, { name: 'monday' })
    expect(await ended(made.body.operation.id)).toMatchObject({ state: 'succeeded' })
    await admin.send('DELETE', `/api/nodes/${node.id}`)
    await attach({ path: diskOf(node.id) })
    const { body } = await admin.send('GET', `/api/nodes/${node.id}/snapshots`)
    expect(body.snapshots).toMatchObject([{ name: 'monday', current: true }])
    expect(await readsAs(overlayFile(layout(), node.id), 3)).toBe(true)
  })

  it('is one of two at once', async () => {
    const { id } = await keptNode()
    const answers = await Promise.all(
      [1, 2].map((n) => admin.send('POST', '/api/storage/attach', { path: diskOf(id), name: `twin-${n}-${fresh()}` })),
    )
    const codes = await Promise.all(
      answers.map(async ({ status, body }) => (status === 202 ? await ended(body.operation.id) : body)),
    ).then((all) => all.map((one) => (one.state === 'succeeded' ? 'won' : one.error.code)))
    expect(codes.filter((code) => code === 'won')).toHaveLength(1)
    expect(['busy', 'storage_in_use']).toContain(codes.find((code) => code !== 'won'))
    expect(parts().store.data.nodes.filter((node) => node.id === id)).toHaveLength(1)
    await expectTidy()
  })

  it('is done once for a request that is repeated', async () => {
    const { id } = await keptNode()
    const key = { 'idempotency-key': `attach-${id}` }
    const [one, two] = [
      await admin.send('POST', '/api/storage/attach', { path: diskOf(id) }, key),
      await admin.send('POST', '/api/storage/attach', { path: diskOf(id) }, key),
    ]
    expect(two.body.operation.id).toBe(one.body.operation.id)
  })

  it('is for instructors where it was a student’s, and for no student', async () => {
    const [ofStudent, ofAdmin] = [await keptNode(1, student), await keptNode(2, admin)]
    expect((await refusal({ path: diskOf(ofAdmin.id) }, teacher)).code).toBe('not_allowed')
    expect((await refusal({ path: diskOf(ofStudent.id) }, student)).code).toBe('not_allowed')
    await attach({ path: diskOf(ofStudent.id) }, teacher)
    expect(record(ofStudent.id).ownerId).toBe(student.id)
  })
})

describe('attaching the file of a snapshot', () => {
  it('makes a node over it and never writes to it (the node was deleted, its snapshots kept)', async () => {
    const node = await newNode(admin, { memoryMib: 192 })
    await writeDisk(layout(), node.id, 5)
    const made = await admin.send('POST', `/api/nodes/${node.id}/snapshots`, { name: 'baseline' })
    await ended(made.body.operation.id)
    await writeDisk(layout(), node.id, 6)
    await admin.send('DELETE', `/api/nodes/${node.id}?deleteStorage=true&keepSnapshots=true`)
    const { body } = await admin.send('GET', '/api/storage/orphans')
    const [orphan] = body.orphans.filter((one: { snapshotName: string | null }) => one.snapshotName === 'baseline')
    expect(orphan).toMatchObject({ kind: 'snapshot', formerly: { nodeName: node.name }, fault: null })
    const name = fresh()
    const before = await readFile(join(layout().overlays, orphan.path.split('/').at(-1)))
    const operation = await attach({ path: orphan.path, name })
    const id = operation.target!.id
    expect(record(id)).toMatchObject({ name, memoryMib: 192, backing: { kind: 'layer' } })
    expect(await readsAs(overlayFile(layout(), id), 5)).toBe(true)
    await writeDisk(layout(), id, 8)
    expect(before.equals(await readFile(join(layout().overlays, orphan.path.split('/').at(-1))))).toBe(true)
    const snapshots = await admin.send('GET', `/api/nodes/${id}/snapshots`)
    expect(snapshots.body.snapshots).toMatchObject([{ name: 'baseline', current: true }])
    expect((await admin.send('POST', `/api/nodes/${id}/start`)).status).toBe(200)
    expect(
      (await admin.send('GET', '/api/storage/orphans')).body.orphans.map(({ path }: { path: string }) => path),
    ).not.toContain(orphan.path)
  })
})

describe('attaching a disk with a config', () => {
  const stray = async (name = `${fresh()}.qcow2`, byte = 4) => {
    const { id } = await keptNode(byte)
    await rename(overlayFile(layout(), id), join(layout().overlays, name))
    await rm(sidecarFile(layout(), id))
    return `/overlays/${name}`
  }

  it('makes a node of it, and says what it does not do', async () => {
    const path = await stray()
    const name = fresh()
    const network = 'network:\n  - type: user\n    hostfwd: "tcp::5432-:5432"\n'
    const planned = await admin.send('POST', '/api/storage/attach?dryRun=true', {
      path,
      config: yaml(name, path, network),
    })
    expect(planned.body.plan.warnings.join()).toMatch(/Nothing tells whether.*5432/)
    const operation = await attach({ path, config: yaml(name, path, network) })
    const made = record(operation.target!.id)
    expect(made).toMatchObject({ name, cpus: 2, memoryMib: 128, imageId: 'empty', backing: { kind: 'image' } })
    expect(operation.log.map(({ text }) => text).join()).toContain('tcp::5432-:5432')
    expect(await readsAs(overlayFile(layout(), made.id), 4)).toBe(true)
    expect(await readdir(layout().overlays)).not.toContain(path.slice('/overlays/'.length))
    expect((await admin.send('POST', `/api/nodes/${made.id}/start`)).status).toBe(200)
  })

  it('refuses what is wrong, each with its own code and the next step', async () => {
    const path = await stray()
    const name = fresh()
    const node = await newNode()
    const codeOf = async (body: object) => (await refusal(body)).code
    expect(await codeOf({ path })).toBe('bad_node_config')
    expect(await codeOf({ path: '/overlays/none.qcow2', config: yaml(name, '/overlays/none.qcow2') })).toBe(
      'storage_not_found',
    )
    expect(await codeOf({ path, config: yaml(name, '/overlays/other.qcow2') })).toBe('config_mismatch')
    expect(await codeOf({ path, config: yaml(name, path, '', 'raw') })).toBe('config_mismatch')
    expect(await codeOf({ path, config: yaml(node.name, path) })).toBe('name_taken')
    expect(await codeOf({ path: diskOf(node.id), config: yaml(name, diskOf(node.id)) })).toBe('storage_in_use')
    expect(await codeOf({ path: '/images/empty.qcow2', config: yaml(name, '/images/empty.qcow2') })).toBe(
      'storage_in_use',
    )
    expect(await codeOf({ path: '/etc/shadow', config: yaml(name, '/etc/shadow') })).toBe('path_not_allowed')
    expect(await codeOf({ path: '/overlays/../state/x.qcow2' })).toBe('path_not_allowed')
    expect(await codeOf({ path: `/overlays/${'n'.repeat(300)}.qcow2` })).toBe('storage_not_found')
    expect(await codeOf({ path, config: 'a: &a [x]\nb: *a\n' })).toBe('bad_node_config')
    const named = await refusal({
      path,
      config: yaml(name, path).replace('- smp: 2', '- monitor: stdio\n  - device: vfio'),
    })
    expect(named).toMatchObject({ code: 'bad_node_config', message: expect.stringMatching(/monitor.*device/) })
    await expectTidy()
  })

  it('looks at the header before any tool does', async () => {
    const { overlays } = layout()
    const evil = async (name: string, backing: string, format = 'raw') => {
      await run('qemu-img', ['create', '-q', '-u', '-f', 'qcow2', '-F', format, '-b', backing, name, '16M'], {
        cwd: overlays,
      })
      return (await refusal({ path: `/overlays/${name}`, config: yaml(fresh(), `/overlays/${name}`) })).code
    }
    expect(await evil('passwd.qcow2', '/etc/passwd')).toBe('hostile_header')
    expect(await evil('nbd.qcow2', 'nbd:127.0.0.1:1')).toBe('hostile_header')
    expect(await evil('lost.qcow2', 'layer_00000000-0000-4000-8000-000000000000.qcow2', 'qcow2')).toBe('chain_broken')
    expect(await evil('between.qcow2', 'lost.qcow2', 'qcow2')).toBe('chain_broken')
    expect(await evil('nobase.qcow2', '../images/gone.qcow2', 'qcow2')).toBe('base_missing')
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-o', 'data_file=data.bin', 'outside.qcow2', '1M'], {
      cwd: overlays,
    })
    expect(
      (await refusal({ path: '/overlays/outside.qcow2', config: yaml(fresh(), '/overlays/outside.qcow2') })).code,
    ).toBe('hostile_header')
    await symlink('/etc/passwd', join(overlays, 'link.qcow2'))
    expect((await refusal({ path: '/overlays/link.qcow2' })).code).toBe('storage_not_found')
  })

  it('refuses a disk that a process has open', async () => {
    const path = await stray()
    const file = join(layout().overlays, path.split('/').at(-1)!)
    const holder = spawn('qemu-io', ['-f', 'qcow2', file], { stdio: ['pipe', 'pipe', 'ignore'] })
    await new Promise((resolve) => holder.stdout.once('data', resolve))
    try {
      const error = await refusal({ path, config: yaml(fresh(), path) })
      expect(error).toMatchObject({ code: 'storage_in_use', message: expect.stringContaining('open') })
    } finally {
      holder.stdin.end('quit\n')
      await new Promise((resolve) => holder.once('close', resolve))
    }
  })

  it('converts a raw disk to a clean one of ours, and leaves the original', async () => {
    const raw = join(layout().overlays, 'old.img')
    await writeFile(
      raw,
      Buffer.concat([Buffer.alloc(1024 ** 2), Buffer.alloc(1024 ** 2, 9), Buffer.alloc(6 * 1024 ** 2)]),
    )
    const config = yaml(fresh(), '/overlays/old.img', 'image: empty\n', 'raw')
    const withoutImage = await refusal({ path: '/overlays/old.img', config: config.replace('image: empty\n', '') })
    expect(withoutImage).toMatchObject({ code: 'bad_node_config', hint: expect.stringContaining('image:') })
    const { target } = await attach({ path: '/overlays/old.img', config })
    const disk = overlayFile(layout(), target!.id)
    expect(record(target!.id)).toMatchObject({ backing: { kind: 'none' }, diskBytes: 8 * 1024 ** 2 })
    expect([await readsAs(disk, 9), await chainLength(disk)]).toEqual([true, 1])
    await checkDisk(disk)
    expect((await lstat(raw)).size).toBe(8 * 1024 ** 2)
    await expectTidy()
  })

  it('copies a disk from a folder that an administrator has allowed, and from no other', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sbx-vms-'))
    const file = join(folder, 'alone.qcow2')
    try {
      await run('qemu-img', ['create', '-q', '-f', 'qcow2', file, '8M'])
      await run('qemu-io', ['-f', 'qcow2', '-c', 'write -q -P 11 1M 64k', file])
      const config = yaml(fresh(), file, 'image: empty\n')
      const denied = await refusal({ path: file, config })
      expect(denied).toMatchObject({
        code: 'path_not_allowed',
        hint: expect.stringContaining('SANDLABX_IMPORT_FOLDERS'),
      })
      lab.backend.services.config.importFolders.push(folder)
      const { target } = await attach({ path: file, config })
      expect(await readsAs(overlayFile(layout(), target!.id), 11)).toBe(true)
      await copyFile(file, join(folder, 'secret.txt'))
      await symlink(join(folder, 'alone.qcow2'), join(folder, 'link.qcow2'))
      const link = join(folder, 'link.qcow2')
      expect((await refusal({ path: link, config: yaml(fresh(), link) })).code).toBe('hostile_header')
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})

describe('attaching what was moved here from elsewhere', () => {
  it('copies a disk over a base image of ours, and lets it name that as it is called here', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sbx-vms-'))
    lab.backend.services.config.importFolders.push(folder)
    try {
      const node = await newNode()
      await writeDisk(layout(), node.id, 17)
      const { body: config } = await admin.send('GET', `/api/nodes/${node.id}/config`)
      await admin.send('DELETE', `/api/nodes/${node.id}`)
      const file = join(folder, 'moved.qcow2')
      await rename(overlayFile(layout(), node.id), file)
      await rm(sidecarFile(layout(), node.id))
      const moved = config.replace(diskOf(node.id), file)
      expect((await refusal({ path: file, config })).code).toBe('config_mismatch')
      await attach({ path: file, config: moved })
      expect(record(node.id)).toMatchObject({ name: node.name, backing: { kind: 'image' } })
      expect(await readsAs(overlayFile(layout(), node.id), 17)).toBe(true)
      expect((await stat(file)).size).toBeGreaterThan(0)
      await expectTidy()
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  it('brings a disk, its layers and its snapshots by the records beside them alone', async () => {
    const node = await newNode()
    await writeDisk(layout(), node.id, 31)
    const made = await admin.send('POST', `/api/nodes/${node.id}/snapshots`, { name: 'before' })
    await ended(made.body.operation.id)
    await writeDisk(layout(), node.id, 32, 2)
    const there = await startTestLab()
    try {
      const far = await there.person('administrator')
      const { fingerprint } = parts().store.data.images.find(({ id }) => id === 'empty')!
      const image = await addTestImage(layout(there), parts(there).store)
      const same = { ...image.fingerprint, sha256: fingerprint.sha256 }
      await parts(there).store.change((draft) => void (draft.images[0]!.fingerprint = same))
      const { layerId } = record(node.id).backing as { layerId: string }
      const files = [
        overlayFileName(node.id),
        `node_${node.id}.json`,
        `layer_${layerId}.qcow2`,
        `layer_${layerId}.json`,
      ]
      for (const name of files) await run('cp', ['-p', join(layout().overlays, name), layout(there).overlays])
      const far0 = layout(there).overlays
      await rename(join(far0, `layer_${layerId}.qcow2`), join(far0, 'away'))
      const broken = await refusal({ path: diskOf(node.id) }, far)
      expect(broken).toMatchObject({ code: 'chain_broken', message: expect.stringContaining(layerId) })
      await rename(join(far0, 'away'), join(far0, `layer_${layerId}.qcow2`))
      const answer = await far.send('POST', '/api/storage/attach', { path: diskOf(node.id) })
      expect(await ended(answer.body.operation.id, far)).toMatchObject({ state: 'succeeded' })
      expect(record(node.id, there)).toMatchObject({
        name: node.name,
        ownerId: far.id,
        backing: { kind: 'layer', layerId },
      })
      const { body } = await far.send('GET', `/api/nodes/${node.id}/snapshots`)
      expect(body.snapshots).toMatchObject([{ name: 'before', current: true }])
      const disk = overlayFile(layout(there), node.id)
      expect([await readsAs(disk, 31), await readsAs(disk, 32, 2)]).toEqual([true, true])
      expect((await far.send('POST', `/api/nodes/${node.id}/start`)).status).toBe(200)
    } finally {
      await there.close()
    }
  })

  it('believes the disk where the record beside it says otherwise, and says so', async () => {
    const { id } = await keptNode()
    const sidecar = JSON.parse(await readFile(sidecarFile(layout(), id), 'utf8'))
    sidecar.record.diskBytes *= 2
    await writeFile(sidecarFile(layout(), id), JSON.stringify(sidecar))
    const operation = await attach({ path: diskOf(id) })
    expect(operation.log.map(({ text }) => text).join()).toContain('the disk is right')
    expect(record(id).diskBytes).toBe(16 * 1024 ** 2)
  })
})

describe('a node as text', () => {
  it('is printed without a password, and makes another node like it', async () => {
    const node = await newNode(admin, { cpus: 2, memoryMib: 96, agent: true })
    const { status, headers, body } = await admin.send('GET', `/api/nodes/${node.id}/config`)
    expect([status, headers.get('content-type')]).toEqual([200, 'application/yaml; charset=utf-8'])
    expect(body).toContain(`name: ${node.name}`)
    expect(body).not.toMatch(/password|\$6\$/i)
    const name = fresh()
    const planned = await admin.send('POST', '/api/nodes/from-config?dryRun=true', { config: body, name })
    expect(planned.body.plan.warnings.join()).toContain('gets a fresh disk')
    const { target } = await attach({ config: body, name }, admin, '/api/nodes/from-config')
    expect(target!.id).not.toBe(node.id)
    expect(record(target!.id)).toMatchObject({ name, cpus: 2, memoryMib: 96, agent: true, backing: { kind: 'image' } })
    expect(record(target!.id).mac).not.toBe(record(node.id).mac)
  })

  it('makes a node with drives, and starts it when asked', async () => {
    const name = fresh()
    const config = `name: ${name}\nimage: empty\nstorage:\n  - {name: root}\n  - {name: data, size: 64M, readonly: true}\n`
    const { target, items } = await attach({ config, start: true }, student, '/api/nodes/from-config')
    expect(items).toMatchObject([{ name, state: 'succeeded', error: null }])
    const made = record(target!.id)
    expect(made.drives).toMatchObject([{ id: 'data', source: 'automatic', sizeBytes: 64 * 1024 ** 2, readOnly: true }])
    await checkDisk(join(layout().overlays, made.drives[0]!.file))
    expect((await student.send('GET', `/api/nodes/${made.id}`)).body.node.status).toBe('running')
  })

  it('gives a guest of cloud-init a password that is told once, since it takes itself for a new machine', async () => {
    await addTestImage(layout(), parts().store, 'cloud', { cloudInit: true })
    const operation = await attach({ config: `name: ${fresh()}\nimage: cloud\n` }, admin, '/api/nodes/from-config')
    const { body } = await admin.send('GET', `/api/operations/${operation.id}/passwords`)
    expect(body.passwords).toMatchObject([{ id: operation.target!.id, guestPassword: expect.any(String) }])
    expect(record(operation.target!.id).guest.passwordHash).toMatch(/^\$6\$/)
  })

  it('attaches the orphan that it names', async () => {
    const { id } = await keptNode(13)
    const config = yaml(fresh(), diskOf(id))
    await attach({ config }, admin, '/api/nodes/from-config')
    expect(await readsAs(overlayFile(layout(), id), 13)).toBe(true)
  })

  it('is refused without anything to make a disk of', async () => {
    expect((await refusal({ config: 'name: x\n' }, admin, '/api/nodes/from-config')).code).toBe('bad_node_config')
    const gone = await refusal({ config: yaml('x', '/overlays/gone.qcow2') }, admin, '/api/nodes/from-config')
    expect(gone.code).toBe('storage_not_found')
  })

  it('moves a node to another SandLabX: show, delete, move the file, attach', async () => {
    const node = await newNode(admin, { memoryMib: 96 })
    await writeDisk(layout(), node.id, 21)
    const { body: config } = await admin.send('GET', `/api/nodes/${node.id}/config`)
    const { mac } = record(node.id)
    await admin.send('DELETE', `/api/nodes/${node.id}`)
    const there = await startTestLab()
    try {
      const file = overlayFileName(node.id)
      const far = await there.person('administrator')
      await rename(join(layout().overlays, file), join(layout(there).overlays, file))
      const asked = { path: `/overlays/${file}`, config }
      const missing = await refusal(asked, far)
      expect(missing).toMatchObject({ code: 'base_missing', details: { candidates: [] } })
      await mkdir(layout(there).images, { recursive: true })
      const changes = { fingerprint: parts().store.data.images[0]!.fingerprint }
      const other = await addTestImage(layout(there), parts(there).store, 'same', {})
      const same = { ...other.fingerprint, sha256: changes.fingerprint.sha256 }
      await parts(there).store.change((draft) => void (draft.images[0]!.fingerprint = same))
      const offered = await refusal(asked, far)
      expect(offered).toMatchObject({ code: 'base_missing', details: { candidates: [{ id: 'same' }] } })
      const wrong = await addTestImage(layout(there), parts(there).store, 'wrong', {})
      await parts(there).store.change(
        (draft) => void (draft.images[1]!.fingerprint = { ...wrong.fingerprint, sha256: 'f'.repeat(64) }),
      )
      expect((await refusal({ ...asked, rebaseTo: 'wrong' }, far)).code).toBe('base_missing')
      const answer = await far.send('POST', '/api/storage/attach', { ...asked, rebaseTo: 'same' })
      expect(await ended(answer.body.operation.id, far)).toMatchObject({ state: 'succeeded' })
      expect(record(node.id, there)).toMatchObject({ name: node.name, mac, memoryMib: 96, imageId: 'same' })
      expect(await readsAs(overlayFile(layout(there), node.id), 21)).toBe(true)
      expect((await far.send('POST', `/api/nodes/${node.id}/start`)).status).toBe(200)
      await expectTidy(there)
    } finally {
      await there.close()
    }
  })
})
