import { link, open } from 'node:fs/promises'
import { join } from 'node:path'
import { SandlabError } from '../domain/error.js'
import { formatBytes, MIB } from '../domain/units.js'
import { CommandError, runCommand } from '../system/command.js'
import { workerIdentity } from '../system/identity.js'
import { MAX_EXPANSION } from './image-limits.js'
import { openOutbox } from './publication.js'
import { COPY_AGAIN, refused } from './refusal.js'

export interface Unpacking {
  /** The compressed file; stays. */
  path: string
  sizeBytes: number
  compression: 'gzip' | 'xz'
  /** Our staging folder; what is unpacked lies in it. */
  folder: string
  maxBytes: number
  signal: AbortSignal
}

/** `--force` because the worker sees the file under a second name. `--keep` because that name is ours to remove. */
const PROGRAMS = {
  gzip: { args: ['--decompress', '--keep', '--force', 'unpacked.gz'], packed: 'unpacked.gz' },
  xz: { args: ['--decompress', '--keep', '--force', '--no-warn', 'unpacked.xz'], packed: 'unpacked.xz' },
} as const
const UNPACK_SECONDS = 3600

/**
 * Unpacks with Debian's programs, as the worker and within `maxBytes`, and returns the path. (Node's own gunzip fails on
 * the signature that OpenWrt appends to its images; `gzip` warns and leaves it out.)
 *
 * Throws `image_refused`, `no_space`, `cancelled`, `missing_tool`.
 */
export async function unpack(unpacking: Unpacking): Promise<string> {
  const { path, folder, compression, signal } = unpacking
  const maxBytes = Math.min(unpacking.maxBytes, MAX_EXPANSION * unpacking.sizeBytes)
  const { args, packed } = PROGRAMS[compression]
  const identity = workerIdentity()
  await openOutbox(folder, identity)
  const outbox = join(folder, 'out')
  const file = await open(path, 'r')
  try {
    await file.chmod(0o444)
    await link(path, join(outbox, packed))
    await runCommand(compression, [...args], {
      cwd: outbox,
      timeoutMs: UNPACK_SECONDS * 1000,
      signal,
      identity,
      limits: { cpuSeconds: UNPACK_SECONDS, memoryBytes: 1024 * MIB, fileBytes: maxBytes },
    })
  } catch (error) {
    if (!isAppendix(error)) throw unpackFailure(error, maxBytes)
  } finally {
    await file.chmod(0o600)
    await file.close()
  }
  return join(outbox, 'unpacked')
}

/** Exit code 2 is gzip's for warnings; this one says that all was unpacked. */
function isAppendix(error: unknown): boolean {
  return error instanceof CommandError && error.exitCode === 2 && error.stderr.includes('trailing garbage ignored')
}

function unpackFailure(error: unknown, maxBytes: number): unknown {
  if (!(error instanceof CommandError)) return error
  if (error.cancelled) return new SandlabError('cancelled', 'It was cancelled; nothing was kept.', { cause: error })
  if (error.stderr.includes('No space left')) {
    return new SandlabError('no_space', 'The disk became full while the image was unpacked.', {
      hint: 'Free some disk space, then try again.',
      cause: error,
    })
  }
  const tooLarge = error.signal === 'SIGXFSZ' || error.stderr.includes('File too large')
  const refusal = tooLarge
    ? refused(
        `The compressed file unpacks to more than ${formatBytes(maxBytes)}, far more than a disk of its size would.`,
        'See whether the address in images/catalog.json is the right one.',
        { found: 'size bomb' },
      )
    : refused('The compressed file is damaged.', COPY_AGAIN, { found: 'damaged' })
  refusal.cause = error
  return refusal
}
