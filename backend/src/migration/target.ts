import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { SandlabError, isSandlabError } from '../domain/error.js'
import { journalDir, previousStateFile, type Layout } from '../domain/layout.js'
import { emptyState, type LabState } from '../domain/state.js'
import { freezeTree } from '../state/draft.js'
import { withStateLock } from '../state/lock.js'
import { listStorage, readImageSidecars } from '../state/sidecar-records.js'
import { readState } from '../state/state-check.js'
import { writeStateFile } from '../state/state-files.js'
import { errnoOf, fsyncDirectory } from '../system/durable-file.js'
import { parseOldState } from './old-records.js'

/** Our own state, before anything is changed. */
export interface Target {
  state: Readonly<LabState>
  /** `ready`: it can be opened. `new`: there is none. `old`: an older SandLabX's file lies in its place. */
  kind: 'ready' | 'new' | 'old'
}

/**
 * Reads our state and changes nothing. Old disks in our folder are no reason for safe mode here: they are what is to come
 * over. Throws `safe_mode` when there are nodes of ours that only a rebuild brings back, `state_newer`.
 */
export async function readTarget(layout: Layout): Promise<Target> {
  const current = await readState(layout.stateFile)
  if (current.kind === 'good') return { state: current.snapshot.data, kind: 'ready' }
  const previous = await readState(previousStateFile(layout))
  if (current.kind === 'newer' || previous.kind === 'newer') {
    throw new SandlabError('state_newer', 'The state here was written by a newer SandLabX.', {
      hint: 'Nothing was touched. Run the migration with that newer one.',
    })
  }
  if (previous.kind === 'good') return { state: previous.snapshot.data, kind: 'ready' }
  const { sidecars } = await listStorage(layout)
  const isOld = current.kind === 'damaged' && isOldState(current.bytes.toString('utf8'), layout.stateFile)
  if (sidecars.length > 0 || (current.kind === 'damaged' && !isOld) || previous.kind === 'damaged') {
    throw new SandlabError('safe_mode', 'The state here is lost, and has to be rebuilt first.', {
      hint: 'Nothing was touched. Start SandLabX, rebuild its state (`sandlabx state rebuild`), stop it, and run this again.',
    })
  }
  const { found: images } = await readImageSidecars(layout)
  return { state: { ...emptyState(), images }, kind: isOld ? 'old' : 'new' }
}

function isOldState(content: string, path: string): boolean {
  try {
    return !parseOldState(content, path).ours
  } catch (error) {
    if (isSandlabError(error, 'state_unreadable')) return false
    throw error
  }
}

export interface Prepared {
  /** As it was before. */
  takeBack(): Promise<void>
  /** What lay in our state's place goes to the other old records. */
  keepIn(folder: string): Promise<void>
}

/** Under this name beside our state until the migration is over; a later one finds it, should this one be killed. */
const ASIDE = '.before-migration'
export const asideOf = (layout: Layout) => `${layout.stateFile}${ASIDE}`

/** Makes an empty state where there is none, so that it can be opened; an old file in its place is set aside. */
export async function prepareTarget(layout: Layout, target: Target): Promise<Prepared> {
  if (target.kind === 'ready') return { takeBack: async () => undefined, keepIn: async () => undefined }
  const aside = asideOf(layout)
  await mkdir(dirname(layout.stateFile), { recursive: true, mode: 0o700 })
  await withStateLock(layout, async () => {
    if (target.kind === 'old') await rename(layout.stateFile, aside)
    await writeStateFile(layout, { revision: 0, data: freezeTree({ ...target.state }) })
  })
  const takeBack = () =>
    withStateLock(layout, async () => {
      await rm(previousStateFile(layout), { force: true })
      await rm(layout.stateFile, { force: true })
      if (target.kind === 'old') await rename(aside, layout.stateFile)
      await fsyncDirectory(dirname(layout.stateFile))
    })
  const keepIn = async (folder: string) => {
    if (target.kind === 'old') await rename(aside, join(folder, 'state-of-the-older-one.json'))
  }
  return { takeBack, keepIn }
}

/** What a killed SandLabX left must be ended by itself first. Throws `busy`. */
export async function refuseUnfinished(layout: Layout): Promise<void> {
  const names = await readdir(journalDir(layout)).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  })
  const count = names.filter((name) => name.endsWith('.json')).length
  if (count === 0) return
  throw new SandlabError('busy', `${count} operation(s) of this SandLabX were cut off and are not ended yet.`, {
    hint: 'Start SandLabX once, so that it ends them or takes them back, stop it, and run this again. Nothing was touched.',
  })
}

/** Undefined when there is none. */
export async function textOf(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  })
}
