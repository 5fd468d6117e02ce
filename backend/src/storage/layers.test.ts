import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { link, mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { layerFile, layoutOf, overlayFile, overlayFileName, type Layout } from '../domain/layout.js'
import { runCommand } from '../system/command.js'
import { uuidOf } from '../../test/state/fixtures/records.js'
import { readsAs, writeDisk } from '../../test/support/disks.js'
import { isUntouched, layerProgress, turnBack, turnIntoLayer } from './layers.js'
import { createOverlay } from './overlays.js'

jest.setTimeout(60_000)

const NODE = uuidOf(1)
const LAYER = uuidOf(2)
const MIB = 1024 ** 2
let layout: Layout
const disk = () => overlayFile(layout, NODE)
const layer = () => layerFile(layout, LAYER)

beforeEach(async () => {
  layout = layoutOf(await mkdtemp(join(tmpdir(), 'layers-')))
  await mkdir(layout.overlays)
  await mkdir(layout.images)
  await runCommand('qemu-img', ['create', '-q', '-f', 'qcow2', `${layout.images}/base.qcow2`, '64M'], {
    timeoutMs: 9000,
  })
  const sizes = { virtualSizeBytes: 64 * MIB, baseVirtualSizeBytes: 64 * MIB }
  await createOverlay({ layout, nodeId: NODE, imageFile: 'base.qcow2', ...sizes })
})
afterEach(() => rm(join(layout.overlays, '..'), { recursive: true }))

const plan = () => ({
  layout,
  file: overlayFileName(NODE),
  layerId: LAYER,
  staging: `${layout.overlays}/.staging/one/source.qcow2`,
  virtualSizeBytes: 64 * MIB,
})

describe('a disk that becomes a layer', () => {
  it('is the same file under another name, read-only, and the node has an empty disk over it', async () => {
    await writeDisk(layout, NODE, 7)
    const { ino, size } = await stat(disk())
    const facts = await turnIntoLayer(plan())
    const found = await stat(layer())
    expect({ ino: found.ino, mode: found.mode & 0o777 }).toEqual({ ino, mode: 0o444 })
    expect(facts).toEqual({ sizeBytes: size, mtimeMs: Math.floor(found.mtimeMs) })
    expect(await isUntouched(disk())).toBe(true)
    expect(await readsAs(disk(), 7)).toBe(true)
  })

  /** Where a kill can leave it. */
  const places: [string, () => Promise<unknown>][] = [
    ['before it began', async () => undefined],
    ['when it had both names', () => link(disk(), layer())],
    [
      'when the new disk was there and the layer was not protected',
      async () => {
        await turnIntoLayer(plan())
        await rename(layer(), `${layer()}.x`)
        await runCommand('chmod', ['600', `${layer()}.x`], { timeoutMs: 9000 })
        await rename(`${layer()}.x`, layer())
      },
    ],
    ['when all was done', () => turnIntoLayer(plan())],
  ]

  it.each(places)('is whole again after an undo %s', async (_, reach) => {
    await writeDisk(layout, NODE, 7)
    const before = await stat(disk())
    await reach()
    await turnBack(layout, overlayFileName(NODE), LAYER)
    await turnBack(layout, overlayFileName(NODE), LAYER) // an undo that was cut off is undone again
    const after = await stat(disk())
    const kept = ({ ino, mode, mtimeMs, size, uid }: typeof after) => ({ ino, mode, mtimeMs, size, uid })
    expect(kept(after)).toEqual(kept(before))
    expect(await readsAs(disk(), 7)).toBe(true)
    expect((await readdir(layout.overlays)).filter((name) => name.includes('layer'))).toEqual([])
  })

  it.each(places)('is made whole when it is done again after a kill %s', async (_, reach) => {
    await writeDisk(layout, NODE, 7)
    const { ino } = await stat(disk())
    await reach()
    await turnIntoLayer(plan())
    expect(await layerProgress(layout, overlayFileName(NODE), LAYER)).toBe('switched')
    expect((await stat(layer())).ino).toBe(ino)
    expect(await readsAs(disk(), 7)).toBe(true)
  })

  it('is not taken back over what a guest wrote since', async () => {
    await turnIntoLayer(plan())
    await writeDisk(layout, NODE, 9)
    await expect(turnBack(layout, overlayFileName(NODE), LAYER)).rejects.toMatchObject({ code: 'state_io' })
    expect(await readsAs(disk(), 9)).toBe(true)
    expect(await layerProgress(layout, overlayFileName(NODE), LAYER)).toBe('switched')
  })
})

describe('an untouched disk', () => {
  it('is one whose map names nothing', async () => {
    expect(await isUntouched(disk())).toBe(true)
    await writeDisk(layout, NODE, 1)
    expect(await isUntouched(disk())).toBe(false)
  })
})
