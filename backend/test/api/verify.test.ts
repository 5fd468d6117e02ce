import { afterAll, beforeAll, expect, it, jest } from '@jest/globals'
import { appendFile, chmod, open, readFile, rename, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { imageFile, layerFile, overlayFile, reportFile, sidecarFile, type Layout } from '../../src/domain/layout.js'
import type { VerifyReport } from '../../src/domain/storage.js'
import { writeImageSidecar } from '../../src/storage/image-sidecars.js'
import { runCommand } from '../../src/system/command.js'
import { writeDisk } from '../support/disks.js'
import { addTestImage, startTestLab, type Person, type TestLab } from '../support/lab.js'
import { untilSeen } from '../support/until.js'

jest.setTimeout(60_000)

let lab: TestLab
let layout: Layout
let admin: Person
let owner: Person
let count = 0

beforeAll(async () => {
  lab = await startTestLab({ environment: { SANDLABX_STUDENT_NODES: '1000' } })
  layout = lab.backend.services.config.layout
  await writeImageSidecar(layout, await addTestImage(layout, store()))
  admin = await lab.person('administrator')
  owner = await lab.person('student')
}, 60_000)
afterAll(() => lab?.close())

const store = () => lab.backend.services.lab!.store
const overlay = (id: string) => `/overlays/node_${id}.qcow2`

async function ended(operationId: string): Promise<{ state: string; error: { code: string; message: string } | null }> {
  return untilSeen('the operation to end', async () => {
    const { body } = await admin.send('GET', `/api/operations/${operationId}`)
    return body.operation.state === 'running' ? undefined : body.operation
  })
}

async function verify(body: object, by: Person = admin): Promise<VerifyReport> {
  const asked = await by.send('POST', '/api/storage/verify', body)
  expect(asked.status).toBe(202)
  expect((await ended(asked.body.operation.id)).error).toBeNull()
  const { status, body: answer } = await by.send('GET', `/api/storage/reports/${asked.body.operation.id}`)
  expect(status).toBe(200)
  return answer.report
}

async function node(image = 'empty'): Promise<string> {
  const { body, status } = await owner.send('POST', '/api/nodes', { name: `disk-${(count += 1)}`, image })
  if (status !== 201) throw new Error(JSON.stringify(body))
  return body.node.id
}

/** The ✓/✗ lines as a person reads them. */
function lines(report: VerifyReport, id: string, { all = false } = {}): string[] {
  const subject = report.subjects.find((one) => one.id === id)
  const findings = subject?.findings ?? []
  return findings
    .filter(({ ok }) => all || !ok)
    .map(({ ok, path, message }) => `${ok ? '✓' : '✗'} ${path} (${message})`)
}

async function ownImage(): Promise<{ id: string; file: string }> {
  const id = `base-${(count += 1)}`
  await writeImageSidecar(layout, await addTestImage(layout, store(), id))
  await chmod(imageFile(layout, `${id}.qcow2`), 0o644) // whoever does these things to it is root
  return { id, file: imageFile(layout, `${id}.qcow2`) }
}

/** Does something to an image with a node over it, and says what is then found of both. */
async function afterChange(change: (file: string) => Promise<void>, level = 'chain') {
  const { id, file } = await ownImage()
  const nodeId = await node(id)
  await change(file)
  const report = await verify({ level })
  const status = (await owner.send('GET', `/api/nodes/${nodeId}`)).body.node
  return { report, status, node: lines(report, nodeId), image: lines(report, id), id, nodeId, file }
}

it('says of each file that it exists, and of a missing one that it is MISSING', async () => {
  const id = await node()
  const well = await verify({ nodeId: id, level: 'files' }, owner)
  expect(well.ok).toBe(true)
  expect(lines(well, id, { all: true })).toEqual([`✓ ${overlay(id)} (exists)`, '✓ /images/empty.qcow2 (exists)'])
  await rm(overlayFile(layout, id))
  const gone = await verify({ nodeId: id, level: 'files' }, owner)
  expect(gone.ok).toBe(false)
  expect(lines(gone, id)).toEqual([`✗ ${overlay(id)} (MISSING)`])
  await owner.send('DELETE', `/api/nodes/${id}`)
})

it('looks at header, size, chain, base, record and content of a stopped node', async () => {
  const id = await node()
  const report = await verify({ nodeId: id, level: 'full' }, owner)
  expect(lines(report, id, { all: true })).toEqual([
    `✓ ${overlay(id)} (exists)`,
    `✓ ${overlay(id)} (header is sound)`,
    `✓ ${overlay(id)} (virtual size 16777216 bytes, as recorded)`,
    `✓ ${overlay(id)} (stands on ../images/empty.qcow2, as recorded)`,
    `✓ ${overlay(id)} (content is sound)`,
    '✓ /images/empty.qcow2 (exists)',
    '✓ /images/empty.qcow2 (is as it was when the node was made)',
    `✓ /overlays/node_${id}.json (says what the record says)`,
  ])
  expect(report.subjects).toHaveLength(1)
})

it('leaves the content of a running node for when it is stopped', async () => {
  const id = await node()
  expect((await owner.send('POST', `/api/nodes/${id}/start`)).status).toBe(200)
  const report = await verify({ nodeId: id, level: 'full' }, owner)
  expect(report.ok).toBe(true)
  expect(lines(report, id, { all: true })).toContain(
    `✓ ${overlay(id)} (running: the rest is looked at when it is stopped)`,
  )
  await owner.send('POST', `/api/nodes/${id}/stop`, { now: true })
})

it('finds what a guest, or the disk, has broken inside of a file', async () => {
  const id = await node()
  const path = overlayFile(layout, id)
  await runCommand('qemu-io', ['-f', 'qcow2', '-c', 'write -q -P 7 1M 64k', path], { timeoutMs: 30_000 })
  const file = await open(path, 'r+')
  await file.write(Buffer.from('8000000000000007', 'hex'), 0, 8, 3 * 128 * 1024) // the first L1 entry: into nowhere
  await file.close()
  expect((await verify({ nodeId: id, level: 'chain' })).ok).toBe(true)
  const report = await verify({ nodeId: id, level: 'full' })
  expect(lines(report, id).join('\n')).toMatch(/^✗ .*node_.*\.qcow2 \(qemu-img/)
  await owner.send('DELETE', `/api/nodes/${id}`)
})

it('tells that a base image was moved away from under its nodes', async () => {
  const found = await afterChange((file) => rename(file, `${file}.elsewhere`))
  expect(found.node).toEqual([`✗ /images/${found.id}.qcow2 (MISSING)`])
  expect(found.image).toEqual([`✗ /images/${found.id}.qcow2 (MISSING)`])
  expect(found.status.status).toBe('broken')
  expect(found.status.statusReason).toBe(`Its base image ${found.id}.qcow2 is missing.`)
})

it('tells that a base image has shrunk', async () => {
  const found = await afterChange((file) => truncate(file, 65_536 * 3))
  expect(found.node).toEqual([
    expect.stringMatching(
      /^✗ \/images\/base-\d+\.qcow2 \(has changed since the node was made: its size is 192\.0 KiB \(196608 bytes\), it was \d+ bytes/,
    ),
  ])
})

it('tells that a base image was replaced by a file of the same size and time', async () => {
  const found = await afterChange(async (file) => {
    const { mtimeMs } = await stat(file)
    const bytes = await readFile(file)
    bytes.write('nobody looks here', bytes.length - 40)
    await writeFile(file, bytes)
    await utimes(file, 1, (Math.floor(mtimeMs) + 0.5) / 1000)
  }, 'full')
  expect(found.node).toEqual([])
  expect(found.image).toEqual([
    expect.stringMatching(/^✗ \/images\/base-\d+\.qcow2 \(its sha256 is [0-9a-f]{64}, its record says [0-9a-f]{64}\)$/),
  ])
})

it('reads no further in a disk with a hostile header', async () => {
  const id = await node()
  const path = overlayFile(layout, id)
  await rm(path)
  const evil = ['create', '-q', '-f', 'qcow2', '-u', '-b', '/etc/shadow', '-F', 'raw', path, '16M']
  await runCommand('qemu-img', evil, { timeoutMs: 30_000 })
  const named = await verify({ nodeId: id, level: 'full' })
  expect(lines(named, id)).toEqual([`✗ ${overlay(id)} (names /etc/shadow as its base, not ../images/empty.qcow2)`])
  await writeFile(path, Buffer.concat([Buffer.from('QFI\u00fb', 'latin1'), Buffer.alloc(500, 0xff)]))
  const forged = await verify({ nodeId: id, level: 'full' })
  expect(lines(forged, id)).toEqual([`✗ ${overlay(id)} (is damaged: its qcow2 version is 4294967295, not 2 or 3)`])
  await owner.send('DELETE', `/api/nodes/${id}`)
})

it('never waits on a pipe, and follows no link', async () => {
  const [pipe, link] = [await node(), await node()]
  await rm(overlayFile(layout, pipe))
  await runCommand('mkfifo', [overlayFile(layout, pipe)], { timeoutMs: 5000 })
  await rename(overlayFile(layout, link), join(layout.overlays, 'elsewhere.qcow2'))
  await runCommand('ln', ['-s', 'elsewhere.qcow2', overlayFile(layout, link)], { timeoutMs: 5000 })
  const report = await verify({ level: 'full' })
  expect(lines(report, pipe)).toEqual([`✗ ${overlay(pipe)} (is not a regular file)`])
  expect(lines(report, link)).toEqual([`✗ ${overlay(link)} (is a symbolic link, not a disk)`])
  for (const id of [pipe, link]) {
    await rm(overlayFile(layout, id))
    await owner.send('DELETE', `/api/nodes/${id}`)
  }
})

it('shows where the record beside a disk contradicts the record, which counts', async () => {
  const id = await node()
  const sidecar = JSON.parse(await readFile(sidecarFile(layout, id), 'utf8'))
  sidecar.record.memoryMib = 4096
  await writeFile(sidecarFile(layout, id), JSON.stringify(sidecar))
  const report = await verify({ nodeId: id, level: 'chain' })
  expect(lines(report, id)).toEqual([
    `✗ /overlays/node_${id}.json (contradicts the record, which counts: memoryMib is 4096 there and 64 here)`,
  ])
  expect((await owner.send('GET', `/api/nodes/${id}`)).body.node.memoryMib).toBe(64)
})

it('tells of a snapshot whose layer is missing, and of all that stands on it', async () => {
  const source = await node()
  await writeDisk(layout, source, 7)
  const body = { name: `clone-${count}` }
  const cloned = await owner.send('POST', `/api/nodes/${source}/clone`, body)
  expect((await ended(cloned.body.operation.id)).error).toBeNull()
  const layer = store().data.layers.find(({ nodeId }) => nodeId === source)!
  await rm(layerFile(layout, layer.id))
  const report = await verify({ level: 'chain' })
  const missing = `✗ /overlays/layer_${layer.id}.qcow2 (MISSING)`
  expect(lines(report, layer.id)).toEqual([missing])
  expect(lines(report, source)).toEqual([missing])
  expect(lines(report, store().data.nodes.find(({ name }) => name === body.name)!.id)).toEqual([missing])
})

it('changes nothing: neither files nor records', async () => {
  const before = JSON.stringify([store().data.nodes, store().data.layers, store().data.images])
  const names = (
    await runCommand('ls', ['-lA', '--time-style=full-iso', layout.overlays, layout.images], { timeoutMs: 5000 })
  ).stdout
  await verify({ level: 'full' })
  expect(JSON.stringify([store().data.nodes, store().data.layers, store().data.images])).toBe(before)
  const after = await runCommand('ls', ['-lA', '--time-style=full-iso', layout.overlays, layout.images], {
    timeoutMs: 5000,
  })
  expect(after.stdout).toBe(names)
})

it('keeps the newest report of everything, which the health page tells of', async () => {
  const report = await verify({ level: 'files' })
  expect((await admin.send('GET', '/api/storage/report')).body.report).toEqual(report)
  const { body } = await admin.send('GET', '/api/health')
  const check = body.checks.find(({ id }: { id: string }) => id === 'storage')
  expect(check.state).toBe('warning')
  expect(check.message).toMatch(/^Something is wrong with \d+: .*base-\d+/)
  expect(check.hint).toContain('sandlabx storage verify')
})

it('looks at everything by itself in the night, in full', async () => {
  await lab.backend.services.lab!.disks.schedule.run('verify')
  const { body } = await admin.send('GET', '/api/storage/report')
  expect(body.report.level).toBe('full')
  const [newest] = (await admin.send('GET', '/api/operations?kind=storage.verify')).body.operations
  expect(newest).toMatchObject({ state: 'succeeded', actorLogin: 'system' })
})

it('can be cancelled, and leaves no report then', async () => {
  const big = await ownImage()
  await appendFile(big.file, Buffer.alloc(1))
  await truncate(big.file, 40 * 1024 ** 3)
  const { body } = await admin.send('POST', '/api/storage/verify', { level: 'full' })
  const { id } = body.operation
  await untilSeen('bytes to be read', async () => {
    const { operation } = (await admin.send('GET', `/api/operations/${id}`)).body
    return operation.bytesDone > 0 ? true : undefined
  })
  expect((await admin.send('POST', `/api/operations/${id}/cancel`)).status).toBe(200)
  expect((await ended(id)).state).toBe('cancelled')
  expect((await admin.send('GET', `/api/storage/reports/${id}`)).status).toBe(404)
  await rm(big.file)
})

it('lets owners verify their own nodes and read what was found, and nobody else', async () => {
  const other = await lab.person('student')
  const id = await node()
  const asked = await owner.send('POST', '/api/storage/verify', { nodeId: id })
  const { id: operationId } = asked.body.operation
  await ended(operationId)
  expect((await owner.send('GET', `/api/storage/reports/${operationId}`)).status).toBe(200)
  expect((await other.send('GET', `/api/storage/reports/${operationId}`)).status).toBe(404)
  expect((await other.send('POST', '/api/storage/verify', { nodeId: id })).status).toBe(404)
  expect((await owner.send('POST', '/api/storage/verify', {})).status).toBe(403)
  expect((await stat(reportFile(layout, operationId))).mode & 0o777).toBe(0o600)
})
