import { chmod, chown, link, lstat, mkdir, rm, unlink } from 'node:fs/promises'
import { isSandlabError, SandlabError } from '../../domain/error.js'
import { overlayFile, type Layout } from '../../domain/layout.js'
import { DEFAULT_LIMITS } from '../../images/image-limits.js'
import { takeIn } from '../../images/intake.js'
import { finishDisk } from '../../images/received-disk.js'
import type { NodesContext } from '../../nodes/context.js'
import { noSuchImage } from '../../nodes/new-record.js'
import { copyDisk, limited, openAll, readerOf } from '../../storage/layer-copies.js'
import { protectLayer } from '../../storage/layers.js'
import { createOverlay, discardOverlay } from '../../storage/overlays.js'
import { runCommand } from '../../system/command.js'
import { errnoOf, fsyncDirectory, publishFile, storageFailure } from '../../system/durable-file.js'
import { workerIdentity } from '../../system/identity.js'
import { readQcow2Header } from '../../system/qcow2.js'
import type { OperationHandle } from '../../transactions/operations.js'
import { attachStaging, type AttachIntent } from './attach-intent.js'
import { asHostile, inUse } from './attach-source.js'

/** Brings the disk to its name, `overlays/node_<id>.qcow2`, whole and durable. What was begun is for `takeDiskBack`. */
export async function bringDisk(context: NodesContext, intent: AttachIntent, op: OperationHandle): Promise<void> {
  const { layout } = context
  const { record, way, path } = intent
  const target = overlayFile(layout, record.id)
  if (way === 'keep') return ownDisk(target)
  if (way === 'rename') {
    await linkTo(path, target)
    await unlink(path)
    await ownDisk(target)
    return fsyncDirectory(layout.overlays)
  }
  if (way === 'layer' || way === 'fresh') return makeOverlay(context, intent)
  await makeStaging(layout, intent)
  if (way === 'convert') return convert(context, intent, op)
  const staged = `${attachStaging(layout, intent)}/copy.qcow2`
  op.step('Copying the disk', null)
  const from = intent.rebase?.from ?? (await readQcow2Header(path)).backingFile
  await copyDisk({ from: path, to: staged, diskBytes: record.diskBytes, backing: from, signal: op.signal })
  await ownDisk(staged)
  await publishFile(staged, target)
}

/** Finding nothing is success. The file that was attached has its name and its content again. */
export async function takeDiskBack(layout: Layout, intent: AttachIntent): Promise<void> {
  const { record, way, path } = intent
  if (way === 'keep') return
  await rm(attachStaging(layout, intent), { recursive: true, force: true })
  if (way !== 'rename') return discardOverlay(layout, record.id)
  const target = overlayFile(layout, record.id)
  const [ours, theirs] = await Promise.all([inodeOf(target), inodeOf(path)])
  if (ours === undefined) return
  if (theirs === undefined) await link(target, path)
  else if (theirs !== ours) throw inUse(intent.shown, 'another file has taken its name meanwhile')
  await unlink(target)
  await fsyncDirectory(layout.overlays)
}

/** Lets the header name the base image as it is called here. Only the name is written, by QEMU's own tool. */
export async function renameBase(path: string, name: string): Promise<void> {
  if ((await readQcow2Header(path)).backingFile === name) return
  const identity = await readerOf(path)
  const [file] = await openAll([path])
  try {
    const args = ['rebase', '-q', '-u', '-f', 'qcow2', '-F', 'qcow2', '-b', name, '/proc/self/fd/3']
    const { size } = await lstat(path)
    await runCommand('qemu-img', args, {
      ...limited(identity, new AbortController().signal, size),
      extraFds: file ? [file.fd] : [],
    })
    await file?.sync()
  } finally {
    await file?.close()
  }
}

async function makeOverlay({ layout, store }: NodesContext, intent: AttachIntent): Promise<void> {
  const { record } = intent
  const image = store.data.images.find(({ id }) => id === record.imageId)
  if (!image) throw noSuchImage(record.imageId)
  const { backing } = record
  const layer = [...intent.layers, ...store.data.layers].find(
    (one) => backing.kind === 'layer' && one.id === backing.layerId,
  )
  if (backing.kind === 'layer' && layer) await protectLayer(layout, layer.id)
  await createOverlay({
    layout,
    nodeId: record.id,
    imageFile: image.file,
    layerFile: layer?.file,
    virtualSizeBytes: record.diskBytes,
    baseVirtualSizeBytes: layer?.diskBytes ?? image.virtualSizeBytes,
  })
}

/** A stranger's disk becomes a clean one of ours; the original is only read. */
async function convert({ layout }: NodesContext, intent: AttachIntent, op: OperationHandle): Promise<void> {
  const { record, path, shown, needBytes } = intent
  const folder = attachStaging(layout, intent)
  try {
    const source = { path, consume: false }
    const what = `attach ${shown}`
    const checked = await takeIn({ source, folder, what, reservedBytes: needBytes, limits: DEFAULT_LIMITS, op })
    if (checked.virtualSizeBytes !== record.diskBytes) throw inUse(shown, 'it has changed since it was looked at')
    const unpackedBytes = checked.format === 'raw' ? checked.fileBytes : EXPANSION * checked.fileBytes
    await finishDisk({ layout, folder, checked, nodeId: record.id, unpackedBytes, op })
  } catch (error) {
    throw asHostile(error, shown)
  }
}

/** A compressed disk may unpack to this many times its size. */
const EXPANSION = 16

async function makeStaging(layout: Layout, intent: AttachIntent): Promise<void> {
  const folder = attachStaging(layout, intent)
  await mkdir(folder, { recursive: true })
  await chmod(folder, 0o711) // searchable by the converter, whatever our umask is
}

async function linkTo(path: string, target: string): Promise<void> {
  await link(path, target).catch((error: unknown) => {
    if (errnoOf(error) !== 'EEXIST') throw storageFailure('give the disk its name', error)
    throw new SandlabError('busy', `There is another disk of that name by now: ${target.split('/').at(-1)}.`, {
      hint: 'Try again. Nothing was changed.',
    })
  })
}

/** Writable for the worker, and for nobody else; a node's own user keeps its disk (ADR 0007). */
async function ownDisk(path: string): Promise<void> {
  const worker = workerIdentity()
  const { uid } = await lstat(path)
  if (worker && uid === 0) await chown(path, worker.uid, worker.gid)
  if (worker || uid === process.getuid?.()) await chmod(path, 0o600)
}

async function inodeOf(path: string): Promise<number | undefined> {
  return lstat(path).then(
    ({ ino }) => ino,
    (error: unknown) => {
      if (errnoOf(error) === 'ENOENT' || isSandlabError(error)) return undefined
      throw error
    },
  )
}
