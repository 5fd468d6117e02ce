import { afterEach, beforeEach, expect, it } from '@jest/globals'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { imageSidecarFile, layoutOf, sidecarFile, type Layout } from '../domain/layout.js'
import { readImageSidecars } from '../state/sidecar-records.js'
import { imageRecord, nodeRecord, uuidOf } from '../../test/state/fixtures/records.js'
import { removeImageSidecar, writeImageSidecar } from './image-sidecars.js'
import { markDetached, readSidecars, removeSidecar, writeSidecar } from './sidecars.js'

let layout: Layout
beforeEach(async () => {
  layout = layoutOf(await mkdtemp(join(tmpdir(), 'sidecars-')))
  await mkdir(layout.overlays)
  await mkdir(layout.images)
})
afterEach(() => rm(join(layout.overlays, '..'), { recursive: true }))

it('keeps the whole record, private, and says when its node is gone', async () => {
  const [one, two] = [nodeRecord(1), nodeRecord(2)]
  await writeSidecar(layout, one)
  await writeSidecar(layout, two)
  await markDetached(layout, two)
  const { found, unreadable } = await readSidecars(layout)
  const byName = new Map(found.map((sidecar) => [sidecar.record.name, sidecar]))
  expect(byName.get('node-1')).toMatchObject({ status: 'attached', record: one })
  expect(byName.get('node-2')).toMatchObject({ status: 'detached', record: two })
  expect(unreadable).toEqual([])
  expect((await stat(sidecarFile(layout, one.id))).mode & 0o777).toBe(0o600)
})

it('writes nothing when nothing changed', async () => {
  await writeSidecar(layout, nodeRecord(1))
  const before = await stat(sidecarFile(layout, uuidOf(1)))
  await writeSidecar(layout, nodeRecord(1))
  expect((await stat(sidecarFile(layout, uuidOf(1)))).ino).toBe(before.ino)
  await writeSidecar(layout, nodeRecord(1, { cpus: 2 }))
  expect((await stat(sidecarFile(layout, uuidOf(1)))).ino).not.toBe(before.ino)
})

it('lists what it can not read, with the reason, and reads the others', async () => {
  await writeSidecar(layout, nodeRecord(1))
  await writeFile(sidecarFile(layout, uuidOf(2)), '{"kind":')
  await writeFile(sidecarFile(layout, uuidOf(3)), await readFile(sidecarFile(layout, uuidOf(1)))) // a copy
  await writeFile(
    sidecarFile(layout, uuidOf(4)),
    JSON.stringify({ kind: 'sandlabx-node', schema: 1, status: 'attached', record: {} }),
  )
  await writeFile(join(layout.overlays, 'README.md'), 'not one of them')
  const { found, unreadable } = await readSidecars(layout)
  expect(found.map((sidecar) => sidecar.record.id)).toEqual([uuidOf(1)])
  expect(unreadable.map(({ reason }) => reason).toSorted()).toEqual([
    expect.stringContaining('JSON'),
    `it is the record of ${uuidOf(1)}`,
    expect.stringContaining('record.id'),
  ])
})

it('removes a record, also one that is not there', async () => {
  await writeSidecar(layout, nodeRecord(1))
  await removeSidecar(layout, uuidOf(1))
  await removeSidecar(layout, uuidOf(1))
  expect(await readdir(layout.overlays)).toEqual([])
})

it('keeps an image of any name beside the catalogue', async () => {
  await writeFile(join(layout.images, 'catalog.json'), '[]')
  await writeImageSidecar(layout, imageRecord('catalog'))
  await writeImageSidecar(layout, imageRecord('debian-12'))
  expect((await readImageSidecars(layout)).found).toEqual([imageRecord('catalog'), imageRecord('debian-12')])
  await removeImageSidecar(layout, 'debian-12')
  await expect(stat(imageSidecarFile(layout, 'debian-12'))).rejects.toMatchObject({ code: 'ENOENT' })
})
