import { createHash, type Hash } from 'node:crypto'
import { constants } from 'node:fs'
import { open, readFile, rm, type FileHandle } from 'node:fs/promises'
import { z } from 'zod'
import { SandlabError } from '../domain/error.js'
import { MIB } from '../domain/units.js'
import { errnoOf, isNoSpace, writeFileDurably } from './durable-file.js'

/** Which version of which address the kept bytes are of. */
const partSchema = z.object({
  url: z.string(),
  /** The mirror that the first attempt was sent to; another one's ETags would not match. */
  from: z.string(),
  validator: z.string().nullable(),
})
type Part = z.infer<typeof partSchema>

/** A file that grows by downloads, its digest so far, and what it is of. */
export interface KeptPart {
  file: FileHandle
  hash: Hash
  have: number
  part: Part
  resumed: number
}

/** Where a download goes, and of what. */
export interface PartPlace {
  url: string
  path: string
  algorithm: 'sha256' | 'sha512'
}

const HASH_BLOCK_BYTES = 4 * MIB
const partInfoFile = (path: string) => `${path}.json`

/** Removes a kept part and what is known about it. */
export async function discardPart(path: string): Promise<void> {
  await rm(path, { force: true })
  await rm(partInfoFile(path), { force: true })
}

/** Opens what an earlier download of the same address left, hashed again, or begins anew. */
export async function openPart(download: PartPlace, signal: AbortSignal): Promise<KeptPart> {
  const known = await readPart(download)
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW
  const file = await open(download.path, known ? flags : flags | constants.O_TRUNC, 0o600)
  const progress = {
    file,
    hash: createHash(download.algorithm),
    have: 0,
    part: known ?? freshPart(download.url),
    resumed: 0,
  }
  try {
    if (known) await hashKept(progress, signal)
    return progress
  } catch (error) {
    await file.close()
    throw error
  }
}

export function freshPart(url: string): Part {
  return { url, from: url, validator: null }
}

/** Undefined when there is nothing to go on with, or it is of another address. */
async function readPart(download: PartPlace): Promise<Part | undefined> {
  try {
    const part = partSchema.parse(JSON.parse(await readFile(partInfoFile(download.path), 'utf8')))
    return part.url === download.url ? part : undefined
  } catch {
    return undefined // absent or damaged: start anew
  }
}

async function hashKept(progress: KeptPart, signal: AbortSignal): Promise<void> {
  const buffer = Buffer.allocUnsafe(HASH_BLOCK_BYTES)
  for (;;) {
    signal.throwIfAborted()
    const { bytesRead } = await progress.file.read(buffer, 0, buffer.length, progress.have)
    if (bytesRead === 0) return
    progress.hash.update(buffer.subarray(0, bytesRead))
    progress.have += bytesRead
  }
}

/** Throws away the bytes so far; what comes is of `part`. */
export async function restartPart(download: PartPlace, progress: KeptPart, part: Part): Promise<void> {
  progress.part = part
  progress.have = 0
  progress.hash = createHash(download.algorithm)
  await progress.file.truncate(0)
  await writeFileDurably(partInfoFile(download.path), JSON.stringify(part))
}

/** Writes at the end and hashes. Throws `no_space`. */
export async function appendToPart(progress: KeptPart, chunk: Buffer): Promise<void> {
  try {
    let done = 0
    while (done < chunk.length) {
      const at = progress.have + done
      done += (await progress.file.write(chunk, done, chunk.length - done, at)).bytesWritten
    }
  } catch (error) {
    if (!isNoSpace(errnoOf(error)))
      throw new SandlabError('state_io', 'Could not write the download.', { cause: error })
    throw new SandlabError('no_space', 'The disk became full during the download.', {
      hint: 'Free some disk space, then try again: what is there already is kept for two days.',
      cause: error,
    })
  }
  progress.hash.update(chunk)
  progress.have += chunk.length
}
