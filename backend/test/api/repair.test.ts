import { afterAll, beforeAll, expect, it, jest } from '@jest/globals'
import { chmod, copyFile, lstat, readFile, rename, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { imageFile, overlayFile, sidecarFile, type Layout } from '../../src/domain/layout.js'
import type { Finding, VerifyReport } from '../../src/domain/storage.js'
import { writeImageSidecar } from '../../src/storage/image-sidecars.js'
import { checkDisk, readsAs, writeDisk } from '../support/disks.js'
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

async function ended(operationId: string): Promise<{ state: string; error: { code: string } | null }> {
  return untilSeen('the operation to end', async () => {
    const { operation } = (await admin.send('GET', `/api/operations/${operationId}`)).body
    return operation.state === 'running' ? undefined : operation
  })
}

async function node(image = 'empty'): Promise<string> {
  const { body, status } = await owner.send('POST', '/api/nodes', { name: `disk-${(count += 1)}`, image })
  if (status !== 201) throw new Error(JSON.stringify(body))
  return body.node.id
}

async function wrong(nodeId: string | undefined, level = 'chain'): Promise<Finding[]> {
  const asked = await admin.send('POST', '/api/storage/verify', { nodeId, level })
  expect((await ended(asked.body.operation.id)).error).toBeNull()
  const { report } = (await admin.send('GET', `/api/storage/reports/${asked.body.operation.id}`)).body
  return (report as VerifyReport).subjects.flatMap(({ findings }) => findings.filter(({ ok }) => !ok))
}

/** The repair that the only finding offers, tried first and then done. */
async function repair(nodeId: string, name: string, argument?: string | null, by = admin) {
  const [finding] = await wrong(nodeId)
  const offer = finding!.repairs.find(
    (one) => one.repair === name && (argument === undefined || one.argument === argument),
  )
  if (!offer) throw new Error(`${name} is not offered: ${JSON.stringify(finding)}`)
  const body = {
    nodeId,
    repair: name,
    path: finding!.path,
    ...(offer.argument === null ? {} : { argument: offer.argument }),
  }
  const { plan } = (await by.send('POST', '/api/storage/repair?dryRun=true', body)).body
  expect(plan.refusal).toBeNull()
  expect(plan.steps.length).toBeGreaterThan(0)
  expect(await wrong(nodeId)).toHaveLength(1) // a dry run repairs nothing
  const answer = await by.send('POST', '/api/storage/repair', body)
  expect(answer.status).toBe(202)
  expect((await ended(answer.body.operation.id)).error).toBeNull()
}

const statusOf = async (id: string) => (await owner.send('GET', `/api/nodes/${id}`)).body.node.status

it('makes a missing automatic drive anew, with its size', async () => {
  const id = await node()
  const made = await admin.send('POST', `/api/nodes/${id}/drives`, { id: 'data', sizeBytes: 64 * 1024 ** 2 })
  expect(made.status).toBe(201)
  const file = join(layout.overlays, store().data.nodes.find((one) => one.id === id)!.drives[0]!.file)
  await rm(file)
  await repair(id, 'recreate-drive')
  expect(await wrong(id, 'full')).toEqual([])
  await checkDisk(file)
  expect((await lstat(file)).nlink).toBe(1)
})

it('gives a node the disk that fits and that nobody has', async () => {
  const id = await node()
  await writeDisk(layout, id, 7)
  await rename(overlayFile(layout, id), join(layout.overlays, 'saved.qcow2'))
  await repair(id, 'attach', '/overlays/saved.qcow2')
  expect(await readsAs(overlayFile(layout, id), 7)).toBe(true)
  expect(await statusOf(id)).toBe('stopped')
  expect(await wrong(id, 'full')).toEqual([])
})

it('writes the record beside a disk anew, by the hand of its owner', async () => {
  const id = await node()
  await writeFile(sidecarFile(layout, id), '{}')
  await repair(id, 'write-sidecar', null, owner)
  expect(JSON.parse(await readFile(sidecarFile(layout, id), 'utf8')).record.id).toBe(id)
  expect(await wrong(id)).toEqual([])
})

it('takes a base on again that only has another time, and nodes over it start again', async () => {
  await writeImageSidecar(layout, await addTestImage(layout, store(), 'touched'))
  const [id, second] = [await node('touched'), await node('touched')]
  await utimes(imageFile(layout, 'touched.qcow2'), 1, 1)
  expect(await wrong(second)).toHaveLength(1)
  await repair(id, 'rebase', 'touched')
  expect([await wrong(id), await wrong(second)]).toEqual([[], []])
  expect([await statusOf(id), await statusOf(second)]).toEqual(['stopped', 'stopped'])
  expect(await wrong(undefined)).toEqual([])
})

it('puts the same content in the place of a base that is gone or was changed', async () => {
  const image = await addTestImage(layout, store(), 'lost')
  await writeImageSidecar(layout, image)
  const [from, to] = [imageFile(layout, 'again.qcow2'), imageFile(layout, 'lost.qcow2')]
  await copyFile(to, from)
  await chmod(from, 0o444)
  const { mtimeMs } = await stat(from)
  const again = { ...image, id: 'again' as typeof image.id, file: 'again.qcow2' }
  again.fingerprint = { ...image.fingerprint, mtimeMs: Math.floor(mtimeMs) }
  await store().change((draft) => void draft.images.push(again))
  await writeImageSidecar(layout, again)
  const id = await node('lost')
  await truncate(to, 1000)
  await repair(id, 'rebase', 'again')
  expect(await wrong(undefined, 'full')).toEqual([])
  expect(await readFile(to)).toEqual(await readFile(from))
  const orphans = (await admin.send('GET', '/api/storage/orphans')).body.orphans
  expect(orphans).toEqual([expect.objectContaining({ path: expect.stringMatching(/^\/images\/lost\.replaced-/) })])
  await rm(join(layout.images, orphans[0].path.slice('/images/'.length)))
})

it('takes on nothing whose content is another one', async () => {
  await writeImageSidecar(layout, await addTestImage(layout, store(), 'other'))
  const id = await node('other')
  const path = imageFile(layout, 'other.qcow2')
  const before = JSON.stringify(store().data.images)
  await chmod(path, 0o644)
  const bytes = await readFile(path)
  bytes.write('something else', bytes.length - 20)
  await writeFile(path, bytes)
  const body = { nodeId: id, repair: 'rebase', path: '/images/other.qcow2', argument: 'other' }
  const answer = await admin.send('POST', '/api/storage/repair', body)
  expect((await ended(answer.body.operation.id)).error).toMatchObject({ code: 'checksum_mismatch' })
  expect(JSON.stringify(store().data.images)).toBe(before)
  expect(await readFile(path)).toEqual(bytes)
  const refused = await admin.send('POST', '/api/storage/repair?dryRun=true', { ...body, argument: 'lost' })
  expect(refused.body.plan.refusal?.code ?? 'none').toBe('none') // another empty image has the same content
})

it('takes a node from the list and keeps its files', async () => {
  const id = await node()
  await truncate(overlayFile(layout, id), 100)
  await repair(id, 'drop-record')
  expect((await owner.send('GET', `/api/nodes/${id}`)).status).toBe(404)
  expect((await lstat(overlayFile(layout, id))).size).toBe(100)
})

it('brings a missing disk back from the trash', async () => {
  const id = await node()
  await writeDisk(layout, id, 9)
  const reset = await owner.send('POST', `/api/nodes/${id}/reset`, {})
  expect((await ended(reset.body.operation.id)).error).toBeNull()
  await rm(overlayFile(layout, id))
  await repair(id, 'restore-from-trash', undefined, owner)
  expect(await readsAs(overlayFile(layout, id), 9)).toBe(true)
  expect(await wrong(id, 'full')).toEqual([])
})

it('goes back to a snapshot when the disk is missing', async () => {
  const id = await node()
  await writeDisk(layout, id, 5)
  const taken = await owner.send('POST', `/api/nodes/${id}/snapshots`, { name: 'good' })
  expect((await ended(taken.body.operation.id)).error).toBeNull()
  await rm(overlayFile(layout, id))
  await repair(id, 'restore-snapshot', undefined, owner)
  expect(await readsAs(overlayFile(layout, id), 5)).toBe(true)
  expect(await wrong(id, 'full')).toEqual([])
})

it('leaves to administrators what is not the node alone', async () => {
  const id = await node()
  for (const name of ['rebase', 'attach', 'drop-record']) {
    const body = { nodeId: id, repair: name, path: overlay(id), argument: 'empty' }
    expect((await owner.send('POST', '/api/storage/repair', body)).status).toBe(403)
  }
  const foreign = await lab.person('student')
  const body = { nodeId: id, repair: 'write-sidecar', path: `/overlays/node_${id}.json` }
  expect((await foreign.send('POST', '/api/storage/repair', body)).status).toBe(404)
})
