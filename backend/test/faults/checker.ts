import { createHash } from 'node:crypto'
import { lstat, open, readdir, readFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { Layer } from '../../src/domain/layer.js'
import type { NodeRecord } from '../../src/domain/node.js'
import { keptBySnapshots } from '../../src/domain/snapshot.js'
import type { LabState } from '../../src/domain/state.js'
import type { Seen } from './scenarios.js'

/** What is wrong with a data folder, in words, by the kind of harm. */
export interface Findings {
  /** I1: acknowledged and not there. */
  lost: string[]
  /** I2, I6, I7: half made, unreadable, or changed where nothing may change. */
  half: string[]
  /** I3: files that nothing names. */
  leaked: string[]
}

export const isClean = ({ lost, half, leaked }: Findings) => lost.length + half.length + leaked.length === 0

/**
 * Looks at a data folder that no process uses, after a recovery, with eyes of its own: the product's code reads nothing
 * here. I4, I5 (running QEMUs) and I8 (audit) are looked at where there are any.
 */
export async function checkFolder(dataDir: string): Promise<{ seen: Seen; findings: Findings }> {
  const files = await filesIn(dataDir)
  const half: string[] = []
  const data = await readState(dataDir, half)
  const seen: Seen = { data, files: new Set(files.map((file) => relative(dataDir, file))) }
  const named = new Set<string>([
    'state/lock',
    'state/nodes-state.json',
    'state/nodes-state.json.prev',
    'images/catalog.json',
  ])
  for (const image of data.images) {
    for (const file of [image.file, ...Object.keys(image.bootFiles)]) named.add(`images/${file}`)
    named.add(`images/${image.id}.image.json`)
    await checkBase(dataDir, image, half)
  }
  for (const { memory } of data.snapshots) if (memory) named.add(`overlays/${memory.file}`)
  for (const layer of data.layers) await checkLayer(dataDir, layer, data, named, half)
  for (const record of data.nodes) await checkNode(dataDir, record, data, named, half)
  await nameKept(dataDir, seen, named, half)
  const leaked = [...seen.files].filter((file) => !named.has(file) && !isFree(file))
  for (const operation of data.operations) {
    if (operation.state === 'running') half.push(`${operation.title}: still shown as running`)
  }
  return { seen, findings: { lost: [], half, leaked: leaked.map((file) => `${file}: nothing names it`) } }
}

/** What need not be named: waits on purpose, or is of no operation. */
function isFree(file: string): boolean {
  return /^images\/\.quarantine\/|^overlays\/(stray\.(qcow2|img)|owners\.json)$|^run\/|^state\/(secret|reports\/|screens\/|reports\/|test-boots\/|postgres|audit-spool|console-history-spool|ssh-key|ssh-host-keys|recordings\/|alive|local-token|first-login)/.test(
    file,
  )
}

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => !entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name))
}

/** As the file has it; a wrong checksum is added to `half`. */
export async function readState(dataDir: string, half: string[]): Promise<LabState> {
  const text = await readFile(`${dataDir}/state/nodes-state.json`, 'utf8')
  const envelope = JSON.parse(text) as { sha256: string; data: LabState } // judged by its checksum
  const sum = createHash('sha256').update(JSON.stringify(envelope.data)).digest('hex')
  if (sum !== envelope.sha256) half.push('the state file has a wrong checksum')
  return envelope.data
}

/** I7. */
async function checkBase(dataDir: string, image: LabState['images'][number], half: string[]): Promise<void> {
  const path = `${dataDir}/images/${image.file}`
  const found = await lstat(path).catch(() => undefined)
  if (!found) return void half.push(`image ${image.id}: its file is missing`)
  const sum = createHash('sha256')
    .update(await readFile(path))
    .digest('hex')
  if (sum !== image.fingerprint.sha256) half.push(`image ${image.id}: its content changed`)
  if (Math.floor(found.mtimeMs) !== image.fingerprint.mtimeMs) half.push(`image ${image.id}: its time changed`)
  if ((found.mode & 0o222) !== 0) half.push(`image ${image.id}: it can be written`)
  const sidecar = await json(`${dataDir}/images/${image.id}.image.json`)
  if (!isDeepStrictEqual(sidecar?.['record'], image))
    half.push(`image ${image.id}: the record beside it differs or is missing`)
}

/** I2. */
async function checkNode(
  dataDir: string,
  record: NodeRecord,
  data: LabState,
  named: Set<string>,
  half: string[],
): Promise<void> {
  const own = `overlays/node_${record.id}`
  for (const file of [`${own}.qcow2`, `${own}.json`, `${own}.efivars.fd`]) named.add(file)
  for (const drive of record.drives) {
    named.add(`overlays/${drive.file}`)
    // What a scenario has lost on purpose is made again at the node's next start.
    if (drive.source !== 'automatic' || drive.id === 'lost') continue
    const backing = drive.backing.kind === 'image' ? null : backingOf({ ...record, backing: drive.backing }, data)
    await checkDisk(dataDir, `drive ${drive.id} of ${record.name}`, drive.file, backing, drive.sizeBytes, half)
  }
  if (record.suspended) {
    const memory = `overlays/${record.suspended.memoryFile}`
    named.add(memory)
    const found = await lstat(`${dataDir}/${memory}`).catch(() => undefined)
    if (found?.size !== record.suspended.sizeBytes)
      half.push(`node ${record.name}: its memory is missing, or not whole`)
  }
  const sidecar = await json(`${dataDir}/${own}.json`)
  if (sidecar?.['status'] !== 'attached' || !isDeepStrictEqual(sidecar['record'], record)) {
    half.push(`node ${record.name}: the record beside its disk differs or is missing`)
  }
  await checkDisk(dataDir, `node ${record.name}`, record.overlayFile, backingOf(record, data), record.diskBytes, half)
}

async function checkLayer(
  dataDir: string,
  layer: Layer,
  data: LabState,
  named: Set<string>,
  half: string[],
): Promise<void> {
  for (const file of [layer.file, `layer_${layer.id}.json`]) named.add(`overlays/${file}`)
  const about = `layer ${layer.id}`
  if (!isDeepStrictEqual((await json(`${dataDir}/overlays/layer_${layer.id}.json`))?.['record'], layer)) {
    half.push(`${about}: the record beside it differs or is missing`)
  }
  const records = [...data.nodes, ...(await keptRecords(dataDir))]
  const standing = [...records, ...records.flatMap(({ drives }) => drives), ...data.layers]
  const stands =
    keptBySnapshots(data.snapshots).includes(layer.id) ||
    standing.some(({ backing }) => backing.kind === 'layer' && backing.layerId === layer.id)
  if (!stands) half.push(`${about}: nothing stands on it, and it is still there`)
  await checkDisk(dataDir, about, layer.file, backingOf(layer, data), layer.diskBytes, half)
  const found = await lstat(`${dataDir}/overlays/${layer.file}`).catch(() => undefined)
  if (!found) return
  if (found.size !== layer.sizeBytes || Math.floor(found.mtimeMs) !== Math.floor(layer.mtimeMs)) {
    half.push(`${about}: it changed after it was frozen`)
  }
  if ((found.mode & 0o222) !== 0) half.push(`${about}: it can be written`)
}

/** Of disks that a delete has kept. */
async function keptRecords(dataDir: string): Promise<NodeRecord[]> {
  const names = (await readdir(`${dataDir}/overlays`)).filter((name) => /^node_.*\.json$/.test(name))
  const sidecars = await Promise.all(names.map((name) => json(`${dataDir}/overlays/${name}`)))
  // What is not a record stands on nothing.
  return sidecars.flatMap((one) => (one?.['status'] === 'detached' ? [one['record'] as NodeRecord] : []))
}

/** The backing file that a disk's header must name; null: none; undefined: what it stands on has no record. */
function backingOf(one: Pick<NodeRecord, 'backing' | 'imageId'>, data: LabState): string | null | undefined {
  const { backing } = one
  if (backing.kind === 'none') return null
  if (backing.kind === 'layer') return data.layers.find(({ id }) => id === backing.layerId)?.file
  const image = data.images.find(({ id }) => id === one.imageId)
  return image && `../images/${image.file}`
}

async function checkDisk(
  dataDir: string,
  about: string,
  file: string,
  backing: string | null | undefined,
  diskBytes: number,
  half: string[],
): Promise<void> {
  if (backing === undefined) half.push(`${about}: what it stands on is gone`)
  const header = await readHeader(`${dataDir}/overlays/${file}`)
  if (typeof header === 'string') return void half.push(`${about}: ${header}`)
  if (backing !== undefined && header.backing !== backing) half.push(`${about}: its header names ${header.backing}`)
  if (backing && header.format !== 'qcow2') half.push(`${about}: its header says its base is ${header.format}`)
  if (header.bytes !== diskBytes)
    half.push(`${about}: its disk has ${header.bytes} bytes, its record says ${diskBytes}`)
  if (header.tooShort) half.push(`${about}: its file ends before its tables`)
}

/** Reads a qcow2 header by QEMU's docs/interop/qcow2.rst. A text says what is wrong. */
async function readHeader(path: string) {
  const file = await open(path, 'r').catch(() => undefined)
  if (!file) return 'its disk is missing'
  try {
    const head = Buffer.alloc(4096)
    const { bytesRead } = await file.read(head, 0, head.length, 0)
    if (bytesRead < 104 || head.readUInt32BE(0) !== 0x5146_49fb) return 'its disk has no qcow2 header'
    const offset = Number(head.readBigUInt64BE(8))
    const backing = offset === 0 ? null : head.toString('utf8', offset, offset + head.readUInt32BE(16))
    const tablesEnd = Number(head.readBigUInt64BE(40)) + head.readUInt32BE(36) * 8
    const { size } = await file.stat()
    return {
      backing,
      format: formatIn(head),
      bytes: Number(head.readBigUInt64BE(24)),
      tooShort: size < Math.max(tablesEnd, Number(head.readBigUInt64BE(48)) + 8),
    }
  } finally {
    await file.close()
  }
}

function formatIn(head: Buffer): string | null {
  for (let at = head.readUInt32BE(100); at + 8 <= head.length;) {
    const [type, length] = [head.readUInt32BE(at), head.readUInt32BE(at + 4)]
    if (type === 0xe279_2aca) return head.toString('latin1', at + 8, at + 8 + length)
    if (type === 0) return null
    at += 8 + Math.ceil(length / 8) * 8
  }
  return null
}

/** I3: disks that were kept by a delete have a record that says so; the trash has whole pairs. */
async function nameKept(dataDir: string, seen: Seen, named: Set<string>, half: string[]): Promise<void> {
  for (const file of seen.files) {
    if (/^overlays\/\.trash\/[^/]+\/entry\.json$/.test(file)) await nameEntry(dataDir, file, seen, named, half)
    const detached = /^overlays\/node_([0-9a-f-]{36})\.json$/.exec(file)?.[1]
    if (detached !== undefined && !named.has(file)) {
      if ((await json(`${dataDir}/${file}`))?.['status'] !== 'detached') continue
      for (const end of ['.json', '.qcow2', '.efivars.fd']) named.add(`overlays/node_${detached}${end}`)
      if (!seen.files.has(`overlays/node_${detached}.qcow2`)) half.push(`${file}: a kept record without its disk`)
    }
    const drive = /^overlays\/drive_([0-9a-f-]{36})\.json$/.exec(file)?.[1]
    if (drive !== undefined) {
      const disk = `overlays/drive_${drive}.qcow2`
      if (named.has(disk)) half.push(`${file}: it says that nobody has a drive that a node has`)
      if (!seen.files.has(disk)) half.push(`${file}: a kept record without its drive`)
      for (const one of [file, disk]) named.add(one)
    }
    await nameSpared(dataDir, file, named, half)
    const trashed = /^(overlays\/\.trash\/[^/]+\/(?:node|layer)_[0-9a-f-]{36})\.(qcow2|json|efivars\.fd)$/.exec(file)
    if (trashed?.[1] === undefined || seen.files.has(`${dirname(file)}/entry.json`)) continue
    named.add(file)
    const pair = ['.qcow2', '.json'].filter((end) => seen.files.has(`${trashed[1]}${end}`))
    if (pair.length < 2) half.push(`${file}: only a part of a node is in the trash`)
  }
}

/** A layer without a record in the state: a delete has spared it with the snapshots that it, or one over it, keeps. */
async function nameSpared(dataDir: string, file: string, named: Set<string>, half: string[]): Promise<void> {
  if (named.has(file) || !/^overlays\/layer_[0-9a-f-]{36}\.json$/.test(file)) return
  const snapshots = (await json(`${dataDir}/${file}`))?.['snapshots']
  if (!Array.isArray(snapshots) || snapshots.length === 0) return
  const disk = file.replace(/json$/, 'qcow2')
  for (const one of [file, disk]) named.add(one)
  if (!(await lstat(`${dataDir}/${disk}`).catch(() => undefined))) half.push(`${file}: a kept record without its layer`)
}

/** What the trash says that it has is there: the disks at least, a record may be missing. */
async function nameEntry(dataDir: string, file: string, seen: Seen, named: Set<string>, half: string[]): Promise<void> {
  named.add(file)
  const entry = await json(`${dataDir}/${file}`)
  const files = (entry?.['files'] ?? []) as { name: string }[] // an entry without any has nothing to be named
  if (!entry) half.push(`${file}: it can't be read`)
  for (const { name } of files) {
    const path = `${dirname(file)}/${name}`
    named.add(path)
    if (name.endsWith('.qcow2') && !seen.files.has(path)) half.push(`${file}: ${name} is not there`)
  }
}

async function json(path: string): Promise<Record<string, unknown> | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown> // compared, never trusted
  } catch {
    return undefined
  }
}
