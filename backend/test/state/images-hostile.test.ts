import { chmod, mkdir, mkdtemp, open, readFile, rm, stat, truncate, writeFile, type FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { isSandlabError, type SandlabError } from '../../src/domain/error.js'
import { convertToBase } from '../../src/images/conversion.js'
import { checkDisk } from '../../src/images/header-check.js'
import { DEFAULT_LIMITS } from '../../src/images/image-limits.js'
import { workerIdentity } from '../../src/system/identity.js'
import { craftQcow2, CLUSTER, HOSTILE_IMAGES } from '../support/hostile-images.js'
import { about, openImageRoom, type ImageRoom } from '../support/image-room.js'

jest.setTimeout(120_000)
let room: ImageRoom
let folder: string
let decoy: string
let tools: string
let toolRan: string
const path = process.env['PATH']

beforeAll(async () => {
  room = await openImageRoom()
  folder = join(room.folder, 'given')
  await mkdir(folder)
  decoy = join(folder, 'decoy')
  await writeFile(decoy, 'a secret of this server\n'.repeat(64))
  // A qemu-img that only notes that it was called: no refused file may get that far.
  tools = await mkdtemp(join(tmpdir(), 'sandlabx-tools-'))
  await chmod(tools, 0o777) // the worker runs it and writes here
  toolRan = join(tools, 'ran')
  await useConverter(`echo "$@" >> ${toolRan}; exit 1`)
})
afterEach(() => rm(toolRan, { force: true }))
afterAll(async () => {
  process.env['PATH'] = path
  await room.close()
  await rm(tools, { recursive: true })
})

async function useConverter(script: string): Promise<void> {
  await writeFile(join(tools, 'qemu-img'), `#!/bin/sh\n${script}\n`)
  await chmod(join(tools, 'qemu-img'), 0o755)
  process.env['PATH'] = `${tools}:${path}`
}

describe('the import room', () => {
  it('calls the converter for a sound file, so that the marker below means something', async () => {
    const file = join(folder, 'sound')
    await writeFile(file, craftQcow2())
    expect((await refusalOf(file)).message).toContain('could not be converted')
    expect(await readFile(toolRan, 'utf8')).toContain('convert')
  })

  it('knows at least 60 kinds of hostile files', () => {
    expect(HOSTILE_IMAGES.length).toBeGreaterThanOrEqual(60)
  })

  it.each(HOSTILE_IMAGES.map((image, index) => ({ ...image, index })))(
    'refuses $title within 3 s and says why',
    async ({ make, says, index }) => {
      const file = join(folder, `suspect-${index}`)
      await make(file, { folder, decoy })
      const began = performance.now()
      const error = await refusalOf(file)
      expect(performance.now() - began).toBeLessThan(3000)
      expect({ code: error.code, message: error.message }).toEqual({
        code: 'image_refused',
        message: expect.stringMatching(says),
      })
      expect(error.hint).toBeTruthy()
      expect(await room.files()).toEqual([])
      expect(room.store.data.images).toEqual([])
      await expect(stat(toolRan)).rejects.toThrow('ENOENT')
    },
  )

  it('refuses a device without opening it', async () => {
    // Reading /dev/zero would never end, opening a tape would rewind it.
    expect((await refusalOf('/dev/zero')).message).toMatch(/device/)
  })

  it('refuses a raw disk above the limit of file sizes before reading it', async () => {
    const file = join(folder, 'huge')
    await writeFile(file, '')
    await truncate(file, 300 * 1024 ** 3)
    expect((await refusalOf(file)).message).toMatch(/largest allowed is 256/)
  })

  it('says that an absent file is absent', async () => {
    expect((await refusalOf(join(folder, 'nothing'))).code).toBe('not_found')
  })

  it('removes a refused file that it was to consume, and a symlink without its target', async () => {
    const file = join(folder, 'consumed')
    await writeFile(file, craftQcow2({ backing: decoy }))
    await refusalOf(file, true)
    await expect(stat(file)).rejects.toThrow('ENOENT')
    expect(await readFile(decoy, 'utf8')).toContain('secret')
  })
})

describe('the header check', () => {
  it('answers 2,000 random mutants of a sound file with yes or an explained no, each within 3 s', async () => {
    const random = seeded(20_261_121)
    const sound = craftQcow2({ extensions: [[0x6803_f857, Buffer.alloc(96, 7)]], data: [Buffer.alloc(CLUSTER, 3)] })
    const path = join(folder, 'mutant')
    await writeFile(path, sound)
    const file = await open(path, 'r+')
    let accepted = 0
    try {
      for (let round = 0; round < 2000; round += 1) {
        const length = random() < 0.1 ? Math.floor(random() * sound.length) : sound.length
        const undo = await mutate(file, sound, random)
        await file.truncate(length)
        const began = performance.now()
        if (await isAccepted(file)) accepted += 1
        expect(performance.now() - began).toBeLessThan(3000)
        await undo()
        if (length < sound.length) await file.write(sound, length, sound.length - length, length)
      }
    } finally {
      await file.close()
    }
    expect(accepted).toBeGreaterThan(50) // mutants of parts that do not matter
    expect(accepted).toBeLessThan(1950)
  })
})

/** Changes one to four bytes, words or bits in the header or the tables; returns how to mend them. */
async function mutate(file: FileHandle, sound: Buffer, random: () => number): Promise<() => Promise<void>> {
  const changed: number[] = []
  const changes = 1 + Math.floor(random() * 4)
  for (let change = 0; change < changes; change += 1) {
    const places = [random() * 128, random() * 256, 3 * CLUSTER + random() * 16, 4 * CLUSTER + random() * 64]
    const at = Math.floor(places[Math.floor(random() * places.length)] ?? 0)
    const kind = random()
    const word = Buffer.alloc(kind < 0.4 ? 4 : 1)
    for (let index = 0; index < word.length; index += 1) word[index] = Math.floor(random() * 256)
    if (kind > 0.7) word[0] = (sound[at] ?? 0) ^ (1 << Math.floor(random() * 8))
    await file.write(word, 0, word.length, at)
    changed.push(at)
  }
  return async () => {
    for (const at of changed) await file.write(sound, at, 4, at)
  }
}

async function isAccepted(file: FileHandle): Promise<boolean> {
  try {
    await checkDisk(file, DEFAULT_LIMITS)
    return true
  } catch (error) {
    if (!isSandlabError(error, 'image_refused')) throw error
    expect(error.hint).toBeTruthy()
    return false
  }
}

/** Mulberry32: the same mutants in each run. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b_79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

describe('the conversion, if the check before it were wrong', () => {
  it('opens no backing file', async () => {
    const work = join(room.folder, 'conversion')
    await mkdir(work, { recursive: true })
    await chmod(room.folder, 0o755)
    process.env['PATH'] = path
    const secret = join(work, 'secret.raw')
    await writeFile(secret, Buffer.alloc(1024 * 1024, 0x5a))
    await writeFile(
      join(work, 'source'),
      craftQcow2({ backing: secret, extensions: [[0xe279_2aca, Buffer.from('raw')]] }),
    )
    await chmod(work, 0o777)
    await convertToBase({
      folder: work,
      source: 'source',
      target: 'out.qcow2',
      checked: { format: 'qcow2', virtualSizeBytes: 1024 * 1024, fileBytes: 5 * CLUSTER },
      limits: DEFAULT_LIMITS,
      identity: workerIdentity(),
      trusted: false,
      signal: new AbortController().signal,
      onProgress: () => undefined,
    })
    // A megabyte of 0x5a would take at least one compressed cluster.
    expect((await readFile(join(work, 'out.qcow2'))).includes(Buffer.from('5a5a5a5a5a', 'hex'))).toBe(false)
    expect((await stat(join(work, 'out.qcow2'))).size).toBeLessThan(5 * CLUSTER)
  })

  it('tells a full disk from a bad file', async () => {
    await useConverter('echo "qemu-img: error while writing at byte 0: No space left on device" >&2; exit 1')
    const file = join(folder, 'fits-not')
    await writeFile(file, craftQcow2())
    expect((await refusalOf(file)).code).toBe('no_space')
  })

  it('turns a file that grows beyond all measure into a refusal', async () => {
    await useConverter('exec dd if=/dev/zero of=out/image.qcow2 bs=1M count=200')
    const file = join(folder, 'grows')
    await writeFile(file, craftQcow2())
    expect((await refusalOf(file)).message).toContain('far more data')
    expect(await room.files()).toEqual([])
  })

  it('does not trust the output either', async () => {
    await useConverter('ln -s /etc/passwd out/image.qcow2')
    const file = join(folder, 'lies')
    await writeFile(file, craftQcow2())
    expect((await refusalOf(file)).message).toContain('symbolic link')
    expect(await room.files()).toEqual([])
  })

  it('turns the death of the converter into a refusal', async () => {
    await useConverter('kill -SEGV $$')
    const file = join(folder, 'good')
    await writeFile(file, craftQcow2())
    const error = await refusalOf(file)
    expect(error.code).toBe('image_refused')
    expect(error.message).toContain('crashed')
    expect(await room.files()).toEqual([])
  })
})

async function refusalOf(file: string, consume = false): Promise<SandlabError> {
  try {
    await room.take({ source: { path: file, consume }, about: about('suspect') })
  } catch (error) {
    if (isSandlabError(error)) return error
    throw error
  }
  throw new Error('it was accepted')
}
