import { createReadStream } from 'node:fs'
import { link, open } from 'node:fs/promises'
import { join } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import type { CatalogEntry } from '../domain/image.js'
import { formatBytes, MIB } from '../domain/units.js'
import { CommandError, runCommand } from '../system/command.js'
import { errnoOf } from '../system/durable-file.js'
import { workerIdentity } from '../system/identity.js'
import { SandlabError } from '../domain/error.js'
import { writeSparsely, type Pace } from './file-blocks.js'
import { MAX_EXPANSION } from './image-limits.js'
import { openOutbox } from './publication.js'
import { COPY_AGAIN, refused } from './refusal.js'

export interface Unpacking {
  /** The compressed file; stays. */
  path: string
  sizeBytes: number
  compression: CatalogEntry['compression']
  /** Our staging folder; what is unpacked lies in it. */
  folder: string
  maxBytes: number
  pace: Pace
}

/** Unpacks into `folder`, within `maxBytes`, and returns the path. Throws `image_refused`, `no_space`, `cancelled`. */
export async function unpack(unpacking: Unpacking): Promise<string> {
  const maxBytes = Math.min(unpacking.maxBytes, MAX_EXPANSION * unpacking.sizeBytes)
  return unpacking.compression === 'xz' ? unpackXz(unpacking, maxBytes) : unpackGzip(unpacking, maxBytes)
}

/** OpenWrt appends a signature after the compressed data: zlib stops at its end and leaves it out, as it should. */
async function unpackGzip({ path, folder, pace }: Unpacking, maxBytes: number): Promise<string> {
  const target = join(folder, 'unpacked')
  const file = await open(target, 'wx', 0o600)
  let packed = 0
  let done = 0
  try {
    const counter = new Transform({
      transform(chunk: Buffer, _encoding, next) {
        packed += chunk.length
        pace.onBytes?.(packed)
        next(null, chunk)
      },
    })
    await pipeline(
      createReadStream(path, { highWaterMark: MIB }),
      counter,
      createGunzip({ chunkSize: MIB }),
      async (chunks: AsyncIterable<Buffer>) => {
        for await (const chunk of chunks) {
          if (done + chunk.length > maxBytes) throw bomb(maxBytes)
          await writeSparsely(file, chunk, done)
          done += chunk.length
        }
      },
      pace.signal ? { signal: pace.signal } : {},
    )
    await file.truncate(done) // the zeros at the end are a hole
    return target
  } catch (error) {
    throw unpackFailure(error, pace)
  } finally {
    await file.close()
  }
}

/** By the `xz` program, as the worker: Node has no decoder. `--force` because the worker sees it under a second name. */
async function unpackXz({ path, folder, pace }: Unpacking, maxBytes: number): Promise<string> {
  const identity = workerIdentity()
  await openOutbox(folder, identity)
  const packed = await open(path, 'r')
  try {
    await packed.chmod(0o444)
    await link(path, join(folder, 'out', 'unpacked.xz'))
    await runCommand('xz', ['--decompress', '--keep', '--force', '--no-warn', 'unpacked.xz'], {
      cwd: join(folder, 'out'),
      timeoutMs: 3_600_000,
      signal: pace.signal,
      identity,
      limits: { cpuSeconds: 3600, memoryBytes: 1024 * MIB, fileBytes: maxBytes },
    })
    return join(folder, 'out', 'unpacked')
  } catch (error) {
    if (error instanceof CommandError && (error.signal === 'SIGXFSZ' || error.stderr.includes('File too large'))) {
      throw bomb(maxBytes)
    }
    throw unpackFailure(error, pace)
  } finally {
    await packed.chmod(0o600)
    await packed.close()
  }
}

function bomb(maxBytes: number): SandlabError {
  return refused(
    `The compressed file unpacks to more than ${formatBytes(maxBytes)}, far more than a disk of its size would.`,
    'See whether the address in images/catalog.json is the right one.',
    { found: 'size bomb' },
  )
}

function unpackFailure(error: unknown, pace: Pace): unknown {
  if (error instanceof SandlabError) return error
  if (pace.signal?.aborted)
    return new SandlabError('cancelled', 'It was cancelled; nothing was kept.', { cause: error })
  const noSpace = error instanceof CommandError ? error.stderr.includes('No space left') : errnoOf(error) === 'ENOSPC'
  if (noSpace) {
    return new SandlabError('no_space', 'The disk became full while the image was unpacked.', {
      hint: 'Free some disk space, then try again.',
      cause: error,
    })
  }
  const refusal = refused('The compressed file is damaged.', COPY_AGAIN, { found: 'damaged' })
  refusal.cause = error
  return refusal
}
