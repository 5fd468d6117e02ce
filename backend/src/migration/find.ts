import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { SandlabError } from '../domain/error.js'
import type { Layout } from '../domain/layout.js'
import type { MigrationPlan } from '../domain/migration.js'
import { errnoOf } from '../system/durable-file.js'
import { parseDump } from './dump.js'
import { readOldDisks, readOldImages, type OldDisk, type OldImage } from './old-disks.js'
import { asideOf } from './target.js'
import { parseOldState, unreadable, type OldNode, type OldUser } from './old-records.js'

/** All that was found of older installations. Nothing was changed. */
export interface OldInstallation {
  nodes: OldNode[]
  users: OldUser[]
  disks: OldDisk[]
  images: OldImage[]
  sources: MigrationPlan['sources']
  /** Old state files and dumps: what is kept beside the new state. */
  records: string[]
  warnings: string[]
}

/** Where a state file of the old layouts may lie below a folder: on the host, in the container, in the volume. */
const STATE_FILES = [
  'nodes-state.json',
  'state/nodes-state.json',
  'app/nodes-state.json',
  'app/state/nodes-state.json',
  'backend/nodes-state.json',
  'backend/state/nodes-state.json',
]
const MAX_RECORDS_BYTES = 256 * 1024 ** 2

/**
 * Looks below the given folders, and where our own disks and images lie: an old installation may have been upgraded in
 * its place. Throws `state_unreadable` for records that can't be read, `not_found` for a folder that is not there.
 */
export async function findOldInstallation(layout: Layout, from: readonly string[]): Promise<OldInstallation> {
  const found: OldInstallation = { nodes: [], users: [], disks: [], images: [], sources: [], records: [], warnings: [] }
  for (const folder of from) await requireFolder(folder)
  const stateFiles = [
    ...from.flatMap((folder) => STATE_FILES.map((name) => join(folder, name))),
    layout.stateFile,
    asideOf(layout),
  ]
  for (const path of await different(stateFiles)) await readState(found, path, path === layout.stateFile)
  for (const path of await different(await dumpsIn(from))) readDump(found, path, await readBounded(path))
  const overlays = [...from.map((folder) => join(folder, 'overlays')), layout.overlays]
  for (const folder of await different(overlays)) {
    const disks = await readOldDisks(folder)
    found.disks.push(...disks)
    if (disks.length > 0) found.sources.push({ path: folder, what: `${disks.length} disks` })
  }
  const images = [...from.map((folder) => join(folder, 'images')), layout.images]
  for (const folder of await different(images.flatMap((one) => [one, join(one, 'custom')]))) {
    const read = await readOldImages(folder, folder.endsWith('/custom'))
    found.images.push(...read)
    if (read.length > 0) found.sources.push({ path: folder, what: `${read.length} base images` })
  }
  return found
}

async function requireFolder(path: string): Promise<void> {
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
  if (isFolder) return
  throw new SandlabError('not_found', `There is no folder ${path}.`, {
    hint: 'Name the folder of the old installation: the one with its overlays/ and images/.',
  })
}

async function readState(found: OldInstallation, path: string, isOwn: boolean): Promise<void> {
  const state = parseOldState(await readBounded(path), path)
  if (state.ours) {
    if (!isOwn) found.warnings.push(`${path} is of this SandLabX, not of an older one: it was left out.`)
    return
  }
  found.nodes.push(...state.nodes)
  found.warnings.push(...state.skipped.map((what) => `${what}: it can't come over.`))
  found.sources.push({ path, what: `${state.nodes.length} node records` })
  found.records.push(path)
}

function readDump(found: OldInstallation, path: string, content: string): void {
  const { nodes, users, skipped } = parseDump(content, path)
  found.nodes.push(...nodes)
  found.users.push(...users)
  found.warnings.push(...skipped.map((what) => `${what}: it can't come over.`))
  found.sources.push({ path, what: `${nodes.length} node records and ${users.length} accounts of its database` })
  found.records.push(path)
}

async function dumpsIn(folders: readonly string[]): Promise<string[]> {
  const names = await Promise.all(
    folders.map(async (folder) => (await readdir(folder)).toSorted().map((name) => join(folder, name))),
  )
  return names.flat().filter((path) => path.endsWith('.sql'))
}

/** Those that are there, each once, however many names it has. */
async function different(paths: readonly string[]): Promise<string[]> {
  const seen = new Set<string>()
  const kept: string[] = []
  for (const path of paths) {
    const key = await stat(path).then(
      ({ dev, ino }) => `${dev}:${ino}`,
      (error: unknown) => {
        if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined
        throw unreadable(path, `the system answered ${errnoOf(error)}`, error)
      },
    )
    if (key === undefined || seen.has(key)) continue
    seen.add(key)
    kept.push(path)
  }
  return kept
}

async function readBounded(path: string): Promise<string> {
  try {
    const { size } = await stat(path)
    if (size > MAX_RECORDS_BYTES) throw unreadable(path, `it has ${size} bytes, far more than records need`)
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof SandlabError) throw error
    throw unreadable(path, `the system answered ${errnoOf(error)}`, error)
  }
}
