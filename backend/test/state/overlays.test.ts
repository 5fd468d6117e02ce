import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import {
  appendFile,
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import type { Image } from '../../src/domain/image.js'
import { layoutOf, overlayFile, overlayStagingDir, uefiVariablesFile, type Layout } from '../../src/domain/layout.js'
import type { NodeRecord } from '../../src/domain/node.js'
import {
  createOverlay,
  discardOverlay,
  inspectOverlay,
  sweepOverlayStaging,
  trashOverlay,
} from '../../src/storage/overlays.js'
import { writeSidecar } from '../../src/storage/sidecars.js'
import { runCommand } from '../../src/system/command.js'
import { workerIdentity } from '../../src/system/identity.js'
import { imageRecord, nodeRecord } from './fixtures/records.js'

const MIB = 1024 ** 2
const GIB = 1024 ** 3

// Real files and processes on a machine that may be busy.
jest.setTimeout(120_000)

let layout: Layout
let image: Image
let record: NodeRecord

beforeEach(async () => {
  layout = layoutOf(await mkdtemp(join(tmpdir(), 'overlays-')))
  await mkdir(layout.overlays)
  await mkdir(layout.images)
  await qemuImg('create', '-q', '-f', 'qcow2', `${layout.images}/tiny.qcow2`, '64M')
  await qemu('qemu-io', '-c', 'write -P 0x42 0 1M', `${layout.images}/tiny.qcow2`)
  await chmod(`${layout.images}/tiny.qcow2`, 0o444)
  const { size, mtimeMs } = await stat(`${layout.images}/tiny.qcow2`)
  const fingerprint = { sha256: 'b'.repeat(64), sizeBytes: size, mtimeMs: Math.floor(mtimeMs) }
  image = imageRecord('tiny', { fingerprint, virtualSizeBytes: 64 * MIB })
  record = nodeRecord(1, { base: fingerprint, diskBytes: GIB })
})
afterEach(() => rm(join(layout.overlays, '..'), { recursive: true }))

const path = () => overlayFile(layout, record.id)
const create = (virtualSizeBytes = GIB) =>
  createOverlay({
    layout,
    nodeId: record.id,
    imageFile: 'tiny.qcow2',
    virtualSizeBytes,
    baseVirtualSizeBytes: 64 * MIB,
  })

async function qemu(tool: string, ...args: string[]): Promise<string> {
  return (await runCommand(tool, args, { timeoutMs: 20_000 })).stdout
}
const qemuImg = (...args: string[]) => qemu('qemu-img', ...args)

const infoSchema = z.object({
  'virtual-size': z.int(),
  'cluster-size': z.int(),
  'backing-filename': z.string(),
  'backing-filename-format': z.string(),
  'format-specific': z.object({ data: z.record(z.string(), z.unknown()) }),
})
const infoOf = async (file: string) => infoSchema.parse(JSON.parse(await qemuImg('info', '--output=json', file)))

describe('createOverlay', () => {
  it.each([64 * MIB, 64 * MIB + 512, GIB, 10 * GIB, 200 * GIB, 1024 * GIB, 64 * 1024 * GIB])(
    'makes a disk of %i bytes that QEMU finds as good as one of its own',
    async (size) => {
      await create(size)
      const theirs = `${layout.overlays}/theirs.qcow2`
      await qemuImg(
        'create',
        '-q',
        '-f',
        'qcow2',
        '-b',
        '../images/tiny.qcow2',
        '-F',
        'qcow2',
        '-o',
        'cluster_size=128k,extended_l2=on',
        theirs,
        String(size),
      )
      expect(await qemuImg('check', '--output=json', path())).toContain('"check-errors": 0')
      expect(await infoOf(path())).toEqual(await infoOf(theirs))
      await qemuImg('compare', path(), theirs)
      // Both hold what is written to them, over the base, and stay in order.
      for (const file of [path(), theirs]) {
        await qemu(
          'qemu-io',
          '-c',
          'write -P 0x11 4k 4k',
          '-c',
          `write -P 0x22 ${size - 65_536} 64k`,
          '-c',
          'discard 1M 1M',
          file,
        )
        const reads = `read -P 0x42 0 4k,read -P 0x11 4k 4k,read -P 0x22 ${size - 65_536} 64k`.split(',')
        const read = await qemu('qemu-io', '-r', ...reads.flatMap((command) => ['-c', command]), file)
        expect(read).not.toContain('Pattern verification failed')
        expect(await qemuImg('check', '--output=json', file)).toContain('"check-errors": 0')
      }
      await qemuImg('compare', path(), theirs)
    },
  )

  it('gives the disk to the worker that runs QEMU, and to nobody else', async () => {
    await create()
    const { uid, mode } = await stat(path())
    expect(uid).toBe(workerIdentity()?.uid ?? process.getuid?.())
    expect(mode & 0o777).toBe(0o600)
  })

  it('leaves a disk that is there as it is, and nothing of its own', async () => {
    await writeFile(path(), 'precious')
    await expect(create()).rejects.toMatchObject({ code: 'busy' })
    expect(await readFile(path(), 'utf8')).toBe('precious')
    expect(await readdir(overlayStagingDir(layout))).toEqual([])
  })

  it('refuses a disk that is smaller than its base', async () => {
    await expect(create(32 * MIB)).rejects.toMatchObject({
      code: 'disk_too_small',
      details: { minimumBytes: 64 * MIB },
    })
    expect(await readdir(layout.overlays)).toEqual([])
  })

  it('names its base as the kernel finds it when the folder is a symbolic link', async () => {
    await mkdir(join(layout.overlays, '..', 'elsewhere', 'deep'), { recursive: true })
    await rm(layout.overlays, { recursive: true })
    await symlink('elsewhere/deep', layout.overlays)
    await create()
    await qemuImg('check', '-q', path())
    await qemu('qemu-io', '-r', '-c', 'read -P 0x42 0 4k', path())
    expect(await inspectOverlay(layout, record, image)).toMatchObject({ ok: true })
  })

  it('forgets what a killed creation staged', async () => {
    await create()
    await writeFile(join(overlayStagingDir(layout), '.left.tmp'), 'x')
    await sweepOverlayStaging(layout)
    expect(await readdir(overlayStagingDir(layout))).toEqual([])
    expect(await readdir(layout.overlays)).toContain(`node_${record.id}.qcow2`)
  })
})

describe('taking a disk away', () => {
  it('moves the disk, its record and its UEFI variables to the trash', async () => {
    await create()
    await writeSidecar(layout, record)
    await writeFile(uefiVariablesFile(layout, record.id), 'vars')
    const folder = await trashOverlay(layout, record.id, new Date('2026-11-21T08:00:00Z'))
    expect(folder).toBe(`${layout.overlays}/.trash/2026-11-21T08-00-00.000Z_${record.id}`)
    expect((await readdir(folder ?? '')).toSorted()).toEqual(
      ['efivars.fd', 'json', 'qcow2'].map((ending) => `node_${record.id}.${ending}`),
    )
    expect(await trashOverlay(layout, record.id)).toBeNull()
    expect((await readdir(layout.overlays)).toSorted()).toEqual(['.staging', '.trash'])
    expect(await readdir(`${layout.overlays}/.trash`)).toHaveLength(1)
  })

  it('discards only what the creation made', async () => {
    await create()
    await writeFile(join(layout.overlays, 'other.qcow2'), 'x')
    await discardOverlay(layout, record.id)
    await discardOverlay(layout, record.id)
    expect((await readdir(layout.overlays)).toSorted()).toEqual(['.staging', 'other.qcow2'])
  })
})

describe('inspectOverlay', () => {
  const inspect = () => inspectOverlay(layout, record, image)
  const base = () => `${layout.images}/tiny.qcow2`
  const rewrite = async (offset: number, bytes: Buffer) => {
    const content = await readFile(path())
    bytes.copy(content, offset)
    await writeFile(path(), content)
  }

  beforeEach(() => create())

  it('finds nothing wrong with a fresh disk, and says what it holds', async () => {
    const found = await inspect()
    expect(found).toEqual({ ok: true, usedBytes: (await stat(path())).blocks * 512 })
  })

  it.each<[string, RegExp, () => Promise<unknown>]>([
    ['is missing', /disk \/overlays\/node_.* is missing/, () => rm(path())],
    ['is a folder', /is a folder, not a disk/, async () => (await rm(path()), mkdir(path()))],
    [
      'is a symbolic link',
      /is a symbolic link/,
      async () => (await rename(path(), `${path()}.x`), symlink(`${path()}.x`, path())),
    ],
    [
      'is a pipe',
      /is not a regular file/,
      async () => (await rm(path()), runCommand('mkfifo', [path()], { timeoutMs: 5000 })),
    ],
    ['is empty', /is damaged: it is not a qcow2 image/, () => truncate(path(), 0)],
    ['is cut off', /is damaged: its L1 table reaches beyond the end/, () => truncate(path(), 300_000)],
    ['is another file', /is damaged: it is not a qcow2 image/, () => writeFile(path(), 'hello '.repeat(100))],
    [
      'has another size',
      /has a virtual size of 1073741824 bytes, its record says 2147483648/,
      async () => (record = { ...record, diskBytes: 2 * GIB }),
    ],
    [
      'names another base',
      /names \.\.\/images\/evil\.qcow2 as its base, not \.\.\/images\/tiny\.qcow2/,
      () => rewrite(128, Buffer.from('../images/evil')),
    ],
    ['names a server as its base', /names nbd:/, () => rewrite(128, Buffer.from('nbd:127.0.0.1:9'))],
    ['has no base', /has no base image in its header/, () => rewrite(8, Buffer.alloc(8))],
    ['is marked corrupt', /marked as corrupt/, () => rewrite(79, Buffer.from([0b1_0010]))],
    ['has its data elsewhere', /keeps its data in another file/, () => rewrite(79, Buffer.from([0b1_0100]))],
    ['is encrypted', /is encrypted/, () => rewrite(35, Buffer.from([2]))],
  ])('says so when the disk %s', async (_, reason, damage) => {
    await damage()
    const found = await inspect()
    expect(found).toEqual({ ok: false, reason: expect.stringMatching(reason) })
  })

  it.each<[string, RegExp, () => Promise<unknown>]>([
    ['is missing', /base image tiny\.qcow2 is missing/, () => rm(base())],
    [
      'has grown',
      /has changed since the node was made: its size is .* it was \d+ bytes/,
      () => appendFile(base(), 'x'),
    ],
    [
      'was touched',
      /it was written at 2001-01-01T00:00:00.000Z, before at 20/,
      () => utimes(base(), 978_307_200, 978_307_200),
    ],
    ['is a folder', /is a folder/, async () => (await rm(base()), mkdir(base()))],
    [
      'can not be read',
      /can't be read by the (user that runs|users that run) QEMU/,
      async () => (
        await chown(base(), process.getuid?.() ?? 0, process.getgid?.() ?? 0),
        chmod(base(), process.getuid?.() === 0 ? 0o400 : 0)
      ),
    ],
    ['is not known', /base image tiny is gone/, async () => (image = undefined as never)],
    [
      'was replaced in the records',
      /was replaced by another one/,
      async () => (image = { ...image, fingerprint: { ...image.fingerprint, sha256: 'c'.repeat(64) } }),
    ],
  ])('says so when the base image %s', async (_, reason, damage) => {
    await damage()
    const found = await inspect()
    expect(found).toEqual({ ok: false, reason: expect.stringMatching(reason) })
  })

  it('takes a base image whose time a backup has cut to the second', async () => {
    const { mtimeMs } = await stat(base())
    await utimes(base(), Math.floor(mtimeMs / 1000), Math.floor(mtimeMs / 1000))
    expect(await inspect()).toMatchObject({ ok: true })
  })

  it('sees a base that was shrunk, which qemu-img check calls good', async () => {
    await chmod(base(), 0o644)
    await truncate(base(), 300_000)
    expect(await qemuImg('check', '--output=json', path())).toContain('"check-errors": 0')
    expect(await inspect()).toMatchObject({ ok: false })
  })
})
