import { link, mkdir, readFile, rename } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { SandlabError } from '../domain/error.js'
import { previousStateFile, type Layout } from '../domain/layout.js'
import { emptyState, STATE_SCHEMA } from '../domain/state.js'
import { errnoOf, fsyncDirectory, storageFailure, sweepStagingNames, writeFileDurably } from '../system/durable-file.js'
import { freezeTree } from './draft.js'
import { decodeEnvelope, createEncoder, type Reading, type Snapshot } from './envelope.js'
import { MIGRATIONS, type Migration } from './migrations.js'
import { listStorage, readImageSidecars } from './sidecar-records.js'

export interface Loaded {
  snapshot: Snapshot
  from: 'current' | 'previous' | 'new'
  /** For people: what was wrong and what was done; null when all is well. */
  warning: string | null
}

/**
 * Reads the state file, or what is left of it, and puts the folder in order. The caller holds the lock.
 *
 * | current | previous | storage | then |
 * |---|---|---|---|
 * | good | any | any | current; an older schema is migrated after a backup |
 * | newer | any | any | `state_newer` |
 * | missing, damaged | good | any | previous, with a warning; a damaged file is moved aside |
 * | missing, damaged | newer | any | `state_newer` |
 * | damaged | missing, damaged | any | `safe_mode` |
 * | missing | damaged | any | `safe_mode` |
 * | missing | missing | overlays or sidecars | `safe_mode` |
 * | missing | missing | none | new; base images are taken up from their records |
 *
 * Nothing is ever overwritten that could not be read. A file that the system refuses to read: `state_unreadable`.
 */
export async function loadStateFiles(layout: Layout, migrations: readonly Migration[] = MIGRATIONS): Promise<Loaded> {
  await removeStaging(layout)
  const current = await readStateFile(layout.stateFile, migrations)
  if (current.kind === 'newer') throw newer(layout.stateFile, current.schema)
  if (current.kind === 'good') {
    if (current.schema < STATE_SCHEMA) await migrateFile(layout, current.snapshot, current.schema)
    return { snapshot: current.snapshot, from: 'current', warning: null }
  }
  const previousFile = previousStateFile(layout)
  const previous = await readStateFile(previousFile, migrations)
  if (previous.kind === 'newer') throw newer(previousFile, previous.schema)
  if (previous.kind === 'good') {
    const aside = await fallBack(layout)
    if (previous.schema < STATE_SCHEMA) await migrateFile(layout, previous.snapshot, previous.schema)
    return { snapshot: previous.snapshot, from: 'previous', warning: fallbackWarning(current, aside) }
  }
  const storage = await listStorage(layout)
  const isFresh = current.kind === 'missing' && previous.kind === 'missing'
  if (!isFresh || storage.overlays.length + storage.sidecars.length > 0)
    throw safeMode(layout, current, previous, storage)
  return startNew(layout)
}

/** Writes a snapshot so that it survives a power cut, and keeps the file before it. See writeFileDurably. */
export async function writeStateFile(layout: Layout, snapshot: Snapshot, encode = createEncoder()): Promise<void> {
  await writeFileDurably(layout.stateFile, await encode(snapshot), { keepPrevious: previousStateFile(layout) })
}

/** Renames what can't be read out of the way, never over another file. Returns the new names. */
export async function moveStateFilesAside(layout: Layout): Promise<string[]> {
  const moved: string[] = []
  for (const path of [layout.stateFile, previousStateFile(layout)]) {
    const aside = `${path}.damaged-${timestamp()}`
    try {
      await rename(path, aside)
      moved.push(aside)
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw storageFailure(`move the damaged ${path} aside`, error)
    }
  }
  await fsyncDirectory(dirname(layout.stateFile))
  return moved
}

type FileReading = Reading | { kind: 'missing' }

async function readStateFile(path: string, migrations: readonly Migration[]): Promise<FileReading> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return { kind: 'missing' }
    throw new SandlabError('state_unreadable', `Could not read the state file ${path}.`, {
      hint: 'Look at its owner and rights and at the disk, then start SandLabX again.',
      details: { file: path, errno: errnoOf(error) },
      cause: error,
    })
  }
  return decodeEnvelope(text, migrations)
}

/** What a killed writer left; its names are random, and nobody else writes here. */
async function removeStaging(layout: Layout): Promise<void> {
  const folder = dirname(layout.stateFile)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await sweepStagingNames(folder)
}

/** The older file stays under a name of its own, for going back to the older SandLabX. */
async function migrateFile(layout: Layout, snapshot: Snapshot, fromSchema: number): Promise<void> {
  try {
    await link(layout.stateFile, `${layout.stateFile}.schema-${fromSchema}-${timestamp()}`)
    await writeStateFile(layout, snapshot)
  } catch (error) {
    throw storageFailure(`migrate the state from schema ${fromSchema}`, error)
  }
}

/** The previous file becomes the current one by hard link: no room is needed, and it stays the previous one too. */
async function fallBack(layout: Layout): Promise<string | null> {
  const aside = `${layout.stateFile}.damaged-${timestamp()}`
  try {
    const moved = await rename(layout.stateFile, aside).then(
      () => aside,
      (error: unknown) => {
        if (errnoOf(error) === 'ENOENT') return null
        throw error
      },
    )
    await link(previousStateFile(layout), layout.stateFile)
    await fsyncDirectory(dirname(layout.stateFile))
    return moved
  } catch (error) {
    throw storageFailure('put the last good state file in place', error)
  }
}

async function startNew(layout: Layout): Promise<Loaded> {
  const { found: images } = await readImageSidecars(layout)
  const snapshot = { revision: 0, data: freezeTree({ ...emptyState(), images }) }
  try {
    await writeStateFile(layout, snapshot)
  } catch (error) {
    throw storageFailure('write the first state file', error)
  }
  const warning =
    images.length === 0
      ? null
      : `There was no state file and no node. ${images.length} base image(s) were taken up from the records beside them.`
  return { snapshot, from: 'new', warning }
}

function fallbackWarning(current: FileReading, aside: string | null): string {
  const what = aside === null ? 'was missing' : `was damaged (${reasonOf(current)}) and is kept as ${basename(aside)}`
  return `The state file ${what}. The last good one before it is used: the newest change may be missing.`
}

function newer(path: string, schema: number): SandlabError {
  return new SandlabError(
    'state_newer',
    `Could not open ${path}: a newer SandLabX wrote it (schema ${schema}; this one knows ${STATE_SCHEMA}).`,
    { hint: 'Start that newer SandLabX, or restore a backup.', details: { file: path, schema, known: STATE_SCHEMA } },
  )
}

function safeMode(
  layout: Layout,
  current: FileReading,
  previous: FileReading,
  storage: { overlays: string[]; sidecars: string[] },
): SandlabError {
  const [overlays, sidecars] = [storage.overlays.length, storage.sidecars.length]
  const reason = `${basename(layout.stateFile)}: ${reasonOf(current)}; its last good copy: ${reasonOf(previous)}`
  return new SandlabError(
    'safe_mode',
    `The state can't be read (${reason}), and ${overlays} disk(s) exist. Nothing was changed.`,
    {
      hint: `Rebuild the state from the ${sidecars} record(s) beside the disks, or restore a backup of it.`,
      details: { reason, candidates: sidecars, overlays },
    },
  )
}

function reasonOf(reading: FileReading): string {
  if (reading.kind === 'damaged') return reading.reason
  return reading.kind === 'missing' ? 'it is missing' : 'it can be read'
}

/** Sorts by time and is legal in a file name. */
function timestamp(): string {
  return new Date().toISOString().replaceAll(':', '-')
}
