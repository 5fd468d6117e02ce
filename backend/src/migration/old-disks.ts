import { readdir, type FileHandle } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { isSandlabError, SandlabError } from '../domain/error.js'
import { sha256Of } from '../images/file-blocks.js'
import { checkDisk } from '../images/header-check.js'
import { DEFAULT_LIMITS } from '../images/image-limits.js'
import { checkQcow2Map } from '../images/qcow2-map.js'
import { openSuspect } from '../images/suspect-file.js'
import { soundnessFault } from '../storage/overlay-faults.js'
import { errnoOf } from '../system/durable-file.js'
import { l1Entries, readQcow2Header, type Qcow2Header } from '../system/qcow2.js'

interface OldFile {
  path: string
  file: string
  sizeBytes: number
  /** Without its holes. */
  usedBytes: number
  mtimeMs: number
  /** The same file may be reached by two names: device and inode. */
  key: string
  /** Why it can't come over, as a clause; null when nothing speaks against it. */
  fault: string | null
  virtualSizeBytes: number
}

/** A node's disk of the old installation, as we saw it; no QEMU tool has opened it. */
export interface OldDisk extends OldFile {
  /** The base that its header names, without its folder; null: it stands on nothing. */
  baseFile: string | null
  /** The base is one that somebody had uploaded. */
  baseIsCustom: boolean
}

export interface OldImage extends OldFile {
  isCustom: boolean
  /** Empty until somebody needs it: see `hashImage`. */
  sha256: string
}

/** Every `*.qcow2` of a folder, looked at; a folder that is missing has none. */
export async function readOldDisks(folder: string): Promise<OldDisk[]> {
  const names = (await namesIn(folder)).filter((name) => name.endsWith('.qcow2'))
  return Promise.all(names.map((name) => readOldDisk(join(folder, name))))
}

export async function readOldDisk(path: string): Promise<OldDisk> {
  let base: Pick<OldDisk, 'baseFile' | 'baseIsCustom'> = { baseFile: null, baseIsCustom: false }
  const looked = await look(path, async (file, fileBytes) => {
    const header = await checkOverlay(file, fileBytes)
    base = baseOf(header)
    return header.virtualSizeBytes
  })
  return { ...looked, ...base }
}

/** Every disk image of a folder. Their data is not read. */
export async function readOldImages(folder: string, isCustom: boolean): Promise<OldImage[]> {
  const names = (await namesIn(folder)).filter((name) => /\.(qcow2|img)$/.test(name))
  return Promise.all(
    names.map(async (name) => {
      const checked = await look(
        join(folder, name),
        async (file) => (await checkDisk(file, DEFAULT_LIMITS)).virtualSizeBytes,
      )
      return { ...checked, isCustom, sha256: '' }
    }),
  )
}

export async function hashImage(image: OldImage): Promise<OldImage> {
  if (image.fault !== null || image.sha256 !== '') return image
  const { file } = await openSuspect(image.path)
  try {
    return { ...image, sha256: await sha256Of(file, image.sizeBytes) }
  } finally {
    await file.close()
  }
}

/**
 * Our own look at an overlay, before any QEMU tool opens it: as at a base image, but that it may name a base, of which
 * only the name is used. Throws `image_refused`.
 */
export async function checkOverlay(file: FileHandle, fileBytes: number): Promise<Qcow2Header> {
  const header = await readQcow2Header(file)
  const unsound = soundnessFault(header)
  if (unsound !== undefined) throw refused(unsound)
  if (header.incompatible.includes('dirty')) throw refused('was not closed (repair it with `qemu-img check -r all`)')
  if (header.snapshotCount > 0) throw refused('holds internal snapshots (remove them with `qemu-img snapshot -d`)')
  if (header.virtualSizeBytes === 0 || header.virtualSizeBytes > DEFAULT_LIMITS.maxVirtualBytes) {
    throw refused(`claims to be a disk of ${header.virtualSizeBytes} bytes`)
  }
  const odd = header.extensions.find(({ name }) => name !== 'feature-names' && name !== 'backing-format')
  if (odd) throw refused(`has a part in its header that no node's disk has (${odd.name})`)
  if (header.backingFormat !== null && header.backingFormat !== 'qcow2') {
    throw refused(`stands on a file of the format ${JSON.stringify(header.backingFormat.slice(0, 20))}`)
  }
  const extended = header.incompatible.includes('extended-l2')
  await checkQcow2Map(file, fileBytes, {
    virtualSizeBytes: header.virtualSizeBytes,
    clusterBytes: 2 ** header.clusterBits,
    l1Entries: l1Entries(header.virtualSizeBytes, header.clusterBits, extended),
    l1Offset: header.l1TableOffset,
    l2EntryBytes: extended ? 16 : 8,
  })
  return header
}

function baseOf({ backingFile }: Qcow2Header): Pick<OldDisk, 'baseFile' | 'baseIsCustom'> {
  if (backingFile === null) return { baseFile: null, baseIsCustom: false }
  const name = basename(backingFile)
  // `json:` and `nbd:` name no file of an images folder.
  if (backingFile.includes(':') || !/^[A-Za-z0-9][A-Za-z0-9._ -]{0,200}$/.test(name)) {
    throw refused(`names ${JSON.stringify(backingFile.slice(0, 80))} as its base, which is no file name`)
  }
  return { baseFile: name, baseIsCustom: backingFile.split('/').at(-2) === 'custom' }
}

async function look(path: string, check: (file: FileHandle, fileBytes: number) => Promise<number>): Promise<OldFile> {
  const unknown = { path, file: basename(path), sizeBytes: 0, usedBytes: 0, mtimeMs: 0, key: path, virtualSizeBytes: 0 }
  try {
    const { file, stats } = await openSuspect(path)
    const found = {
      ...unknown,
      sizeBytes: stats.size,
      usedBytes: stats.blocks * 512,
      mtimeMs: Math.floor(stats.mtimeMs),
      key: `${stats.dev}:${stats.ino}`,
    }
    try {
      return { ...found, virtualSizeBytes: await check(file, stats.size), fault: null }
    } catch (error) {
      return { ...found, fault: faultOf(error) }
    } finally {
      await file.close()
    }
  } catch (error) {
    return { ...unknown, fault: faultOf(error) }
  }
}

function faultOf(error: unknown): string {
  if (isSandlabError(error)) return error.message.replace(/\.$/, '')
  return `it can't be read (${errnoOf(error) ?? String(error)})`
}

function refused(what: string): SandlabError {
  return new SandlabError('image_refused', `the disk ${what}`)
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).toSorted()
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return []
    throw error
  }
}
