import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { isSandlabError } from '../../src/domain/error.js'
import { imageIdSchema } from '../../src/domain/ids.js'
import { imageSchema } from '../../src/domain/image.js'
import { journalDir } from '../../src/domain/layout.js'
import { createBus } from '../../src/events/bus.js'
import { importProcedure, planImport, type ImportRequest } from '../../src/images/import-room.js'
import { imageProcedures } from '../../src/images/procedures.js'
import { imageDeleteProcedure, planImageDelete } from '../../src/images/removal.js'
import { sweepImageFolders } from '../../src/images/staging.js'
import { openStore } from '../../src/state/store.js'
import { runCommand } from '../../src/system/command.js'
import { createOperations } from '../../src/transactions/operations.js'
import type { RecoveryReport } from '../../src/transactions/recovery.js'
import { createTransactions } from '../../src/transactions/transactions.js'
import {
  about,
  deleteImage,
  importImage,
  IMPORTER,
  nodeOver,
  openImageRoom,
  testOperation,
  type ImageRoom,
  type ImageWork,
} from '../support/image-room.js'

jest.setTimeout(120_000)
const MIB = 1024 * 1024
let room: ImageRoom
let given: string

beforeEach(async () => {
  room = await openImageRoom()
  given = join(room.folder, 'given')
  await mkdir(given)
})
afterEach(() => room.close())

const run = (binary: string, ...args: string[]) => runCommand(binary, args, { timeoutMs: 20_000 })
const request = (path: string, changes: Partial<ImageWork & ImportRequest> = {}): ImageWork & ImportRequest => ({
  layout: room.layout,
  store: room.store,
  log: room.log,
  source: { path, consume: false },
  about: about('good'),
  op: testOperation(),
  ...changes,
})

/** 8 MiB: data that does not compress, text that does, and a hole. */
async function rawDisk(): Promise<string> {
  const path = join(given, 'disk.raw')
  const text = Buffer.from('a line of text that repeats\n'.repeat(40_000)).subarray(0, MIB)
  await writeFile(path, Buffer.concat([Buffer.from('not a partition table'), randomBytes(2 * MIB - 21), text]))
  await truncate(path, 8 * MIB)
  return path
}

async function qcow2Of(raw: string, ...options: string[]): Promise<string> {
  const path = join(given, 'disk.qcow2')
  await rm(path, { force: true })
  await run('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', ...options, raw, path)
  return path
}

describe('a good file', () => {
  it.each([
    ['raw', undefined],
    ['qcow2 version 2', ['-o', 'compat=0.10']],
    ['qcow2 version 3', ['-o', 'compat=1.1']],
    ['qcow2 compressed with zlib', ['-c']],
    ['qcow2 compressed with zstd', ['-c', '-o', 'compression_type=zstd']],
    ['qcow2 with extended L2', ['-o', 'extended_l2=on,cluster_size=128k']],
    ['qcow2 with clusters of 4 KiB', ['-o', 'cluster_size=4k']],
    ['qcow2 with clusters of 2 MiB', ['-o', 'cluster_size=2M']],
    ['qcow2 with preallocated metadata', ['-o', 'preallocation=metadata']],
  ])('%s becomes a base image of the same content, read-only, with its checksum', async (_name, options) => {
    const raw = await rawDisk()
    const path = options ? await qcow2Of(raw, ...options) : raw
    const image = await importImage(request(path))

    const file = join(room.layout.images, 'good.qcow2')
    await run('qemu-img', 'compare', '-f', 'raw', '-F', 'qcow2', raw, file)
    const { mode, size, mtimeMs, nlink, uid } = await stat(file)
    expect({ mode: mode & 0o777, nlink, uid }).toEqual({ mode: 0o444, nlink: 1, uid: process.getuid?.() })
    expect(image.fingerprint).toEqual({
      sha256: createHash('sha256')
        .update(await readFile(file))
        .digest('hex'),
      sizeBytes: size,
      mtimeMs: Math.floor(mtimeMs),
    })
    expect(image.virtualSizeBytes).toBe(8 * MIB)
    expect(imageSchema.parse(room.store.data.images[0])).toEqual(image)
    expect(await room.files()).toEqual(['good.image.json', 'good.qcow2'])
    const info = JSON.parse((await run('qemu-img', 'info', '--output=json', '-f', 'qcow2', file)).stdout)
    expect(info['format-specific'].data).toMatchObject({ compat: '1.1', 'compression-type': 'zstd', corrupt: false })
    expect(await readFile(path)).toHaveLength((await stat(path)).size) // what was given is still there
  })

  it('has progress from 0 to the end, and is announced', async () => {
    const op = testOperation()
    const bus = createBus()
    const announced: string[] = []
    bus.subscribe((event) => void announced.push(`${event.topic} ${event.id}`))
    await importImage(request(await rawDisk(), { op, bus }))
    const progress = op.steps.flatMap((step) => (typeof step.progress === 'number' ? [step.progress] : []))
    expect(progress).toEqual(progress.toSorted((a, b) => a - b))
    expect(progress.at(-1)).toBeGreaterThan(0.9)
    expect(op.steps.map((step) => step.text)).toContain('Converting to a clean copy')
    expect(announced).toEqual(['images good'])
  })

  it('is used up when it is to be consumed', async () => {
    const path = await rawDisk()
    await importImage(request(path, { source: { path, consume: true } }))
    await expect(stat(path)).rejects.toThrow('ENOENT')
  })

  it('may have a kernel and an initial RAM disk beside it, with their checksums', async () => {
    const kernelPath = join(given, 'vmlinuz')
    const initrdPath = join(given, 'initrd.img')
    await writeFile(kernelPath, 'a kernel')
    await writeFile(initrdPath, randomBytes(3 * MIB))
    const directBoot = { kernelPath, initrdPath, commandLine: 'console=ttyS0' }
    const image = await importImage(request(await rawDisk(), { about: about('good', { directBoot }) }))
    expect(image.directBoot).toEqual({ kernel: 'good.vmlinuz', initrd: 'good.initrd', commandLine: 'console=ttyS0' })
    for (const [name, source] of [
      ['good.vmlinuz', kernelPath],
      ['good.initrd', initrdPath],
    ] as const) {
      const content = await readFile(join(room.layout.images, name))
      expect(content.equals(await readFile(source))).toBe(true)
      expect(image.bootFiles[name]).toBe(createHash('sha256').update(content).digest('hex'))
      expect((await stat(join(room.layout.images, name))).mode & 0o777).toBe(0o444)
    }
  })

  it('keeps its holes while it is copied', async () => {
    const path = join(given, 'sparse.raw')
    await writeFile(path, 'start')
    await truncate(path, 20 * 1024 * MIB)
    const began = performance.now()
    const image = await importImage(request(path, { source: { path, consume: false } }))
    expect(image.virtualSizeBytes).toBe(20 * 1024 * MIB)
    expect(image.fingerprint.sizeBytes).toBeLessThan(2 * MIB)
    expect(performance.now() - began).toBeLessThan(10_000)
  })
})

describe('what is taken already', () => {
  it('is never replaced: not an image, not a file without a record', async () => {
    const path = await rawDisk()
    const first = await importImage(request(path))
    await expect(importImage(request(path))).rejects.toMatchObject({ code: 'image_exists' })
    await writeFile(join(room.layout.images, 'stray.qcow2'), 'whose is this?')
    await expect(importImage(request(path, { about: about('stray') }))).rejects.toMatchObject({ code: 'image_exists' })
    expect(await readFile(join(room.layout.images, 'stray.qcow2'), 'utf8')).toBe('whose is this?')
    expect(room.store.data.images).toEqual([first])
    expect(await room.files()).toEqual(['good.image.json', 'good.qcow2', 'stray.qcow2'])
  })

  it('includes an image that is just being made', async () => {
    const path = await rawDisk()
    const results = await Promise.allSettled([importImage(request(path)), importImage(request(path))])
    expect(results.map((result) => result.status).toSorted()).toEqual(['fulfilled', 'rejected'])
    const failed = results.find((result) => result.status === 'rejected')
    expect(failed?.reason).toMatchObject({ code: 'busy' })
  })
})

describe('an import that fails', () => {
  it.each([
    ['Looking at the file', 'the first look'],
    ['Copying the file', 'the copy'],
    ['Converting to a clean copy', 'the conversion'],
    ['Computing the checksum', 'the checksum'],
  ])('leaves nothing when it is cancelled at "%s"', async (text) => {
    const op = testOperation()
    const path = await rawDisk()
    const step = op.step
    const cancelling = {
      ...op,
      step: (words: string, progress?: number | null) => {
        step(words, progress)
        if (words === text) op.abort()
      },
    }
    await expect(importImage(request(path, { op: cancelling }))).rejects.toMatchObject({ code: 'cancelled' })
    expect(await room.files()).toEqual([])
    expect(room.store.data.images).toEqual([])
    expect((await stat(path)).size).toBe(8 * MIB)
  })

  it('puts the file back that it was to consume, unless it was refused', async () => {
    const path = await rawDisk()
    const { mode, ino } = await stat(path)
    const store: typeof room.store = {
      ...room.store,
      data: room.store.data,
      revision: room.store.revision,
      change: () => Promise.reject(new Error('the disk of the state is gone')),
    }
    await expect(importImage(request(path, { store, source: { path, consume: true } }))).rejects.toThrow('is gone')
    const after = await stat(path)
    expect({ mode: after.mode, ino: after.ino }).toEqual({ mode, ino })
    expect(await room.files()).toEqual([])
  })

  it('takes back the files it published when the record can not be written', async () => {
    const kernelPath = join(given, 'vmlinuz')
    await writeFile(kernelPath, 'a kernel')
    const directBoot = { kernelPath, initrdPath: null, commandLine: '' }
    await room.store.close()
    await expect(
      importImage(request(await rawDisk(), { about: about('good', { directBoot }) })),
    ).rejects.toBeInstanceOf(Error)
    expect(await room.files()).toEqual([])
  })

  it('takes nothing when the description is out of bounds', async () => {
    const path = await rawDisk()
    for (const wrong of [
      { id: '../x' },
      { id: 'A' },
      { id: '' },
      { title: 'x'.repeat(200) },
      { minimumMemoryMib: 0 },
    ]) {
      await expect(importImage(request(path, { about: about('good', wrong) }))).rejects.toMatchObject({
        code: 'bad_request',
      })
    }
    expect(await room.files()).toEqual([])
  })

  it('refuses a boot file that is a link, and leaves nothing', async () => {
    const directBoot = { kernelPath: '/etc/mtab', initrdPath: null, commandLine: '' }
    await expect(importImage(request(await rawDisk(), { about: about('good', { directBoot }) }))).rejects.toMatchObject(
      { code: 'image_refused' },
    )
    expect(await room.files()).toEqual([])
  })
})

describe('after a kill -9', () => {
  /** Imports until a step, then dies as a process does; the next one recovers from what is on the disk. */
  async function killedAt(title: string): Promise<RecoveryReport> {
    const operations = createOperations({ store: room.store, bus: room.bus, log: room.log })
    const dying = await createTransactions({ ...room, operations })
    const procedure = importProcedure({ ...room, transactions: dying })
    const steps = procedure.steps.map((step) => ({
      ...step,
      async do(...given: Parameters<typeof step.do>) {
        await step.do(...given)
        if (step.title === title) throw new Killed()
      },
      undo: () => Promise.reject(new Killed()), // nobody is left to undo
    }))
    const path = await rawDisk()
    const { mode } = await stat(path)
    const intent = {
      imageId: imageIdSchema.parse('half'),
      folder: randomUUID(),
      consumes: { path, mode: mode & 0o777 },
      spaceBytes: MIB,
      path,
      about: about('half'),
      checksums: [],
      discards: [],
    }
    const killed = { ...procedure, steps }
    await expect(
      dying.run(killed, intent, { title: 'Import half', actor: IMPORTER, target: null, cancellable: true }).result,
    ).rejects.toMatchObject({ code: 'internal' })
    return recover()
  }

  async function recover(): Promise<RecoveryReport> {
    const operations = createOperations({ store: room.store, bus: room.bus, log: room.log })
    const transactions = await createTransactions({ ...room, operations })
    return transactions.recover(imageProcedures({ ...room, transactions }))
  }

  it.each(['Making a folder for it', 'Looking at the file', 'Converting to a clean copy', 'Publishing'])(
    'after "%s" the next start takes all of it back, and returns the source',
    async (title) => {
      const report = await killedAt(title)
      expect(report).toMatchObject({ undone: ['Import half'], failed: [] })
      expect(await room.files()).toEqual([])
      const back = await stat(join(given, 'disk.raw'))
      expect({ size: back.size, mode: back.mode & 0o777, nlink: back.nlink }).toEqual({
        size: 8 * MIB,
        mode: 0o644,
        nlink: 1,
      })
      expect(await readdir(journalDir(room.layout))).toEqual([])
    },
  )

  it('takes back only its own files: an image that has the name since stays whole', async () => {
    const image = await importImage(request(await rawDisk(), { about: about('half') }))
    const procedure = importProcedure(room)
    const intent = {
      imageId: image.id,
      folder: randomUUID(),
      consumes: null,
      spaceBytes: 0,
      path: given,
      about: about('half'),
      checksums: [],
      discards: [],
    }
    for (const step of procedure.steps.toReversed()) await step.undo?.(intent)
    expect(await room.files()).toEqual(['half.image.json', 'half.qcow2'])
  })

  it('does not put a returned source over a file that has taken its name', async () => {
    const folder = randomUUID()
    const staging = join(room.layout.images, '.staging', folder)
    await mkdir(staging, { recursive: true })
    await writeFile(join(staging, 'source'), 'ours')
    const path = join(given, 'upload')
    await writeFile(path, 'theirs')
    const intent = {
      imageId: imageIdSchema.parse('half'),
      folder,
      consumes: { path, mode: 0o600 },
      spaceBytes: 0,
      path,
      about: about('half'),
      checksums: [],
      discards: [],
    }
    for (const step of importProcedure(room).steps.toReversed()) await step.undo?.(intent)
    expect(await readFile(path, 'utf8')).toBe('theirs')
    expect(await room.files()).toEqual([])
  })

  it('the next start finishes a deletion whose record is gone already', async () => {
    const image = await importImage(request(await rawDisk()))
    const { ino, dev } = await stat(join(room.layout.images, image.file))
    const procedure = imageDeleteProcedure(room)
    const dying = { ...procedure, after: [{ title: 'Dying', do: () => Promise.reject(new Killed()) }] }
    const intent = { imageId: image.id, files: [{ name: image.file, ino, dev, bytes: 1 }] }
    await expect(
      room.transactions.run(dying, intent, {
        title: 'Delete good',
        actor: IMPORTER,
        target: null,
        cancellable: false,
      }).result,
    ).rejects.toThrow('killed')
    expect(await room.files()).toEqual(['good.image.json', 'good.qcow2'])
    expect(await recover()).toMatchObject({ finished: ['Delete good'], failed: [] })
    expect(await room.files()).toEqual([])
  })

  it('the next start finishes no deletion on the files of a later image', async () => {
    const image = await importImage(request(await rawDisk()))
    const intent = { imageId: image.id, files: [{ name: image.file, ino: 1, dev: 1, bytes: 1 }] }
    for (const step of imageDeleteProcedure(room).after ?? []) await step.do(intent, { ...testOperation(), item() {} })
    expect(await room.files()).toEqual(['good.image.json', 'good.qcow2'])
  })

  it('what no operation names any more is swept, unless one could not be ended', async () => {
    const stray = join(room.layout.images, '.staging', 'stray')
    await mkdir(stray, { recursive: true })
    await writeFile(join(stray, 'file'), '')
    await sweepImageFolders(room.layout, { keepStaging: true })
    expect(await room.files()).toEqual(['.staging/stray/file'])
    await sweepImageFolders(room.layout)
    expect(await room.files()).toEqual([])
  })

  it('downloads are kept for two days', async () => {
    const quarantine = join(room.layout.images, '.quarantine')
    await mkdir(quarantine)
    for (const name of ['old.part', 'new.part']) await writeFile(join(quarantine, name), 'bytes')
    const threeDaysAgo = Date.now() / 1000 - 3 * 24 * 3600
    await utimes(join(quarantine, 'old.part'), threeDaysAgo, threeDaysAgo)
    await sweepImageFolders(room.layout)
    expect(await room.files()).toEqual(['.quarantine/new.part'])
  })
})

class Killed extends Error {
  constructor() {
    super('killed')
  }
}

describe('what is planned', () => {
  it('is the room that it takes, and what would be refused', async () => {
    const path = await rawDisk()
    const plan = await planImport(room, { source: { path, consume: false }, about: about('good') })
    expect(plan).toMatchObject({
      kind: 'image.import',
      creates: [{ type: 'image', name: 'good' }],
      space: [{ path: room.layout.images, freeUpBytes: 0 }],
      refusal: null,
    })
    expect(plan.space[0]?.requiredBytes).toBeGreaterThan(6 * MIB)
    await importImage(request(path))
    const again = await planImport(room, { source: { path, consume: false }, about: about('good') })
    expect(again.refusal?.code).toBe('image_exists')
    expect(await room.files()).toEqual(['good.image.json', 'good.qcow2'])
  })

  it('of a deletion is what goes, how much it frees, and who keeps it', async () => {
    const image = await importImage(request(await rawDisk()))
    const plan = await planImageDelete(room, 'good')
    expect(plan).toMatchObject({ replaces: [{ id: 'good', fate: 'is removed for good' }], refusal: null })
    expect(plan.replaces[0]?.bytes).toBeGreaterThan(image.fingerprint.sizeBytes / 2) // it has holes
    await room.store.change((draft) => void draft.nodes.push(nodeOver('good', 'web')))
    expect((await planImageDelete(room, 'good')).refusal?.code).toBe('image_in_use')
    await expect(planImageDelete(room, 'other')).rejects.toMatchObject({ code: 'not_found' })
  })
})

describe('deleting an image', () => {
  it('removes record, files and sidecar; the id is free again', async () => {
    const path = await rawDisk()
    const kernelPath = join(given, 'vmlinuz')
    await writeFile(kernelPath, 'a kernel')
    const directBoot = { kernelPath, initrdPath: null, commandLine: '' }
    await importImage(request(path, { about: about('good', { directBoot }) }))
    await deleteImage({ ...room, id: 'good' })
    expect(await room.files()).toEqual([])
    expect(room.store.data.images).toEqual([])
    await importImage(request(path))
  })

  it('is refused while nodes use it, and names them', async () => {
    await importImage(request(await rawDisk()))
    await room.store.change((draft) => {
      draft.nodes.push(nodeOver('good', 'web'))
      draft.nodes.push(nodeOver('good', 'db'))
    })
    const error = await deleteImage({ ...room, id: 'good' }).then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect(isSandlabError(error, 'image_in_use') && error.message).toBe('The image good is used by web, db.')
    expect(await room.files()).toEqual(['good.image.json', 'good.qcow2'])
    expect(room.store.data.images).toHaveLength(1)
  })

  it('says that an unknown image is unknown', async () => {
    await expect(deleteImage({ ...room, id: 'nothing' })).rejects.toMatchObject({ code: 'not_found' })
  })

  it('survives a restart: the image is still there with the same fingerprint', async () => {
    const image = await importImage(request(await rawDisk()))
    await room.store.close()
    const { store } = await openStore({ layout: room.layout, log: room.log })
    expect(store.data.images).toEqual([image])
    await store.close()
  })
})
