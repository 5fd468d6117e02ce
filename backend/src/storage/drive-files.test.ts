import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { link, mkdir, mkdtemp, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkDisk } from '../../test/support/disks.js'
import { layoutOf, type Layout } from '../domain/layout.js'
import { runCommand } from '../system/command.js'
import { readQcow2Header } from '../system/qcow2.js'
import { accessFault, driveFault, type RecordedDrive } from './drive-faults.js'
import { createDriveFile, discardDriveFile } from './drive-files.js'
import { resizeDisk } from './grow-disk.js'

const GIB = 1024 ** 3
const FILE = 'drive_0f8fad5b-d9cb-469f-a165-70867728950e.qcow2'
let layout: Layout
const path = () => `${layout.overlays}/${FILE}`

beforeEach(async () => {
  layout = layoutOf(await mkdtemp(join(tmpdir(), 'sbx-drive-')))
  await mkdir(layout.overlays)
  await createDriveFile({ layout, file: FILE, virtualSizeBytes: 10 * GIB, backingFile: null, owner: undefined })
})

afterEach(() => rm(join(layout.overlays, '..'), { recursive: true }))

const io = (...commands: string[]) =>
  runCommand('qemu-io', ['-f', 'qcow2', ...commands.flatMap((command) => ['-c', command]), path()], {
    timeoutMs: 30_000,
  })

const drive = (changes: Partial<RecordedDrive> = {}): RecordedDrive => ({
  id: 'data',
  path: path(),
  shown: `/overlays/${FILE}`,
  format: 'qcow2',
  sizeBytes: 10 * GIB,
  readOnly: false,
  chain: { layers: [], base: false, missing: null },
  foreign: false,
  user: undefined,
  ...changes,
})

describe('the file of a drive', () => {
  it('is a sparse qcow2 that stands alone, of 128 KiB clusters with sub-clusters', async () => {
    const header = await readQcow2Header(path())
    expect(header).toMatchObject({ virtualSizeBytes: 10 * GIB, clusterBits: 17, backingFile: null })
    expect(header.incompatible).toContain('extended-l2')
    expect((await stat(path())).blocks * 512).toBeLessThan(256 * 1024)
    await checkDisk(path())
  })

  it('is not made over another of its name, and its making can be taken back twice', async () => {
    const again = { layout, file: FILE, virtualSizeBytes: GIB, backingFile: null, owner: undefined }
    await expect(createDriveFile(again)).rejects.toMatchObject({ code: 'busy' })
    expect((await readQcow2Header(path())).virtualSizeBytes).toBe(10 * GIB)
    await discardDriveFile(layout, FILE)
    await discardDriveFile(layout, FILE)
    expect(await driveFault(layout, drive())).toMatchObject({ missing: true })
  })
})

describe('growing a disk', () => {
  it('keeps what is on it, and gives room behind that', async () => {
    await io('write -q -P 7 9G 64k')
    await resizeDisk(path(), 100 * GIB)
    await io('write -q -P 8 99G 64k')
    await checkDisk(path())
    await io('read -q -P 7 9G 64k', 'read -q -P 8 99G 64k', 'read -q -P 0 50G 64k')
    expect((await readQcow2Header(path())).virtualSizeBytes).toBe(100 * GIB)
  })

  it('can be taken back before a guest has seen it, and done twice', async () => {
    await resizeDisk(path(), 100 * GIB)
    await resizeDisk(path(), 100 * GIB)
    await resizeDisk(path(), 10 * GIB)
    expect((await readQcow2Header(path())).virtualSizeBytes).toBe(10 * GIB)
    await checkDisk(path())
  })

  it('is refused where the tables have no room, and changes nothing then', async () => {
    const before = await stat(path())
    await expect(resizeDisk(path(), 20_000 * GIB)).rejects.toMatchObject({ code: 'unsupported' })
    expect((await stat(path())).mtimeMs).toBe(before.mtimeMs)
  })
})

describe('a look at a drive', () => {
  it('finds nothing wrong with one that is as its record says', async () => {
    expect(await driveFault(layout, drive())).toBeUndefined()
  })

  it('names the drive and what is wrong with it', async () => {
    expect((await driveFault(layout, drive({ sizeBytes: GIB })))?.reason).toMatch(/drive data .*virtual size/)
    await truncate(path(), 100)
    expect((await driveFault(layout, drive()))?.reason).toMatch(/is damaged/)
    await rm(path())
    await symlink('/etc/passwd', path())
    expect(await driveFault(layout, drive())).toMatchObject({ missing: false, reason: expect.stringMatching(/plain/) })
  })

  it('finds a link that has come into the path of a file of a person', async () => {
    const outside = join(layout.overlays, '..', 'outside')
    await mkdir(outside)
    await link(path(), `${outside}/disk.qcow2`)
    const foreign = drive({ path: `${outside}/disk.qcow2`, foreign: true, sizeBytes: null })
    expect(await driveFault(layout, foreign)).toBeUndefined()
    await symlink(outside, `${outside}-link`)
    const found = await driveFault(layout, { ...foreign, path: `${outside}-link/disk.qcow2` })
    expect(found?.reason).toMatch(/symbolic link/)
  })

  it('says which right is missing on which folder or file', async () => {
    const folder = join(layout.overlays, '..', 'private')
    await mkdir(folder, { mode: 0o700 })
    await writeFile(`${folder}/disk.raw`, '', { mode: 0o600 })
    const stranger = { uid: 1_900_000_000, gid: 1_900_000_000 }
    expect(await accessFault(layout, `${folder}/disk.raw`, stranger, 'read')).toMatch(/chmod o\+x/)
    expect(await accessFault(layout, '/etc/hostname', stranger, 'read')).toBeUndefined()
    expect(await accessFault(layout, '/etc/hostname', stranger, 'write')).toMatch(/read and written .*chmod o\+rw/)
  })
})
