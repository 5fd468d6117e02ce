import { constants } from 'node:fs'
import { lstat, open, realpath } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { NodeId } from '../domain/ids.js'
import { imageFile, liveLayerFile, overlayFile } from '../domain/layout.js'
import { isSandlabError } from '../domain/error.js'
import { CommandError, runCommand } from '../system/command.js'
import type { Identity } from '../system/identity.js'
import { readQcow2Header } from '../system/qcow2.js'
import { EngineError } from './engine.js'
import { removeLayerFile, syncOverlay } from './live-layer.js'
import type { EngineContext } from './run.js'
import { pathInQemu } from './run-paths.js'

const TIMEOUT_MS = 60 * 60 * 1000
const CPU_SECONDS = 30 * 60
const MEMORY_BYTES = 1024 ** 3
const MAX_CHAIN = 16
const LAYER_NAME = /^layer_[0-9a-f-]{36}\.qcow2$/
const IMAGE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/

/**
 * Writes what a guest wrote while its disk was frozen into its overlay, for a node whose QEMU has ended. May be cut short
 * at any point and called again: the file goes last, and durably.
 *
 * A guest that took its QEMU over can have left any header: the chain is followed only into `images/` and to layers, every
 * format is said, and qemu-img runs as the node's own user. Throws EngineError `no-space`, `locked` (a QEMU still has the
 * disk), `broken`, `engine`; the file then stays.
 */
export async function commitOffline(context: EngineContext, id: NodeId): Promise<void> {
  const { layout } = context
  const layer = liveLayerFile(layout, id)
  const overlay = overlayFile(layout, id)
  const identity = await ownerOf(context, overlay)
  await requirePlain(layer, identity)
  const size = await requireOwn(layer, `../${basename(overlay)}`)
  const inQemu = (path: string) => ({ driver: 'file', filename: pathInQemu(context.dataDir, path) })
  const below = await chainBelow(context, overlay)
  const backing = below.reduceRight<object | null>(
    (under, path) => ({ driver: 'qcow2', 'read-only': true, file: inQemu(path), backing: under }),
    null,
  )
  const chain = {
    driver: 'qcow2',
    file: inQemu(layer),
    backing: { driver: 'qcow2', file: inQemu(overlay), backing },
  }
  await runCommand('qemu-img', ['commit', '-q', '-d', `json:${JSON.stringify(chain)}`], {
    cwd: context.dataDir,
    timeoutMs: TIMEOUT_MS,
    signal: context.closed,
    identity,
    limits: { cpuSeconds: CPU_SECONDS, memoryBytes: MEMORY_BYTES, fileBytes: Math.ceil(size * 1.1) + 64 * 1024 ** 2 },
  }).catch((error: unknown) => {
    throw commitFailure(error)
  })
  await syncOverlay(layout, id)
  await removeLayerFile(layout, id)
}

/** As root: the disk's user. Otherwise as we. */
async function ownerOf(context: EngineContext, overlay: string): Promise<Identity | undefined> {
  const found = await lstat(overlay).catch((cause: unknown) => {
    throw new EngineError('broken', 'Its disk is missing, but not what its guest wrote last.', { cause })
  })
  if (!found.isFile() || found.nlink !== 1) throw new EngineError('broken', 'Its disk is no plain file.')
  if (!context.worker) return undefined
  const isNodes = found.uid !== 0 && found.uid !== context.worker.uid
  return isNodes ? { uid: found.uid, gid: found.uid } : context.worker
}

async function requirePlain(layer: string, owner: Identity | undefined): Promise<void> {
  const file = await open(layer, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const found = await file.stat()
    if (!found.isFile() || found.nlink !== 1) throw new EngineError('broken', `${layer} is no plain file.`)
    if (owner) await file.chown(owner.uid, owner.gid)
  } finally {
    await file.close()
  }
}

/** The header is the one that we wrote; its virtual size. */
async function requireOwn(path: string, backing: string): Promise<number> {
  const header = await headerOf(path)
  if (header.backingFile === backing) return header.virtualSizeBytes
  throw new EngineError('broken', `${basename(path)} names another disk than its own as its base.`)
}

/** The files under an overlay, nearest first, as their headers say it, each in a folder where it may be. */
async function chainBelow(context: EngineContext, overlay: string): Promise<string[]> {
  const images = await realpath(context.layout.images)
  const overlays = await realpath(context.layout.overlays)
  const chain: string[] = []
  for (let path = overlay; chain.length < MAX_CHAIN;) {
    const { backingFile } = await headerOf(path)
    if (backingFile === null) return chain
    const found = join(overlays, backingFile)
    const name = basename(found)
    if (dirname(found) === overlays && LAYER_NAME.test(name)) path = `${context.layout.overlays}/${name}`
    else if (dirname(found) === images && IMAGE_NAME.test(name)) path = imageFile(context.layout, name)
    else throw new EngineError('broken', `Its disk names ${backingFile} as its base, which is none.`)
    chain.push(path)
    if (dirname(found) === images) return chain
  }
  throw new EngineError('broken', 'Its disk stands on too many layers.')
}

async function headerOf(path: string) {
  const header = await readQcow2Header(path).catch((cause: unknown) => {
    if (isSandlabError(cause, 'image_refused'))
      throw new EngineError('broken', `${basename(path)} is damaged.`, { cause })
    throw new EngineError('broken', `${basename(path)} can't be read.`, { cause })
  })
  const foreign = header.incompatible.filter((feature) => feature === 'data-file' || feature === 'corrupt')
  if (foreign.length === 0 && header.unknownIncompatibleBits === 0n && header.cryptMethod === 0) return header
  throw new EngineError('broken', `${basename(path)} is not as SandLabX made it.`)
}

function commitFailure(error: unknown): unknown {
  if (!(error instanceof CommandError)) return error
  const said = error.stderr.trim().split('\n').at(-1) ?? ''
  if (/Failed to get .*lock/.test(said)) {
    return new EngineError('locked', 'Another process still uses its disk.', { retry: true, cause: error })
  }
  if (/No space left|File too large/.test(said)) {
    const message = "The host's disk is full: what its guest wrote last could not be written into its disk yet."
    return new EngineError('no-space', message, { retry: true, cause: error })
  }
  return new EngineError('engine', `What its guest wrote last could not be written into its disk yet. ${said}`, {
    retry: true,
    cause: error,
  })
}
