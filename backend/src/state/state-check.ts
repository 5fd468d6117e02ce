import { lstat, readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { SandlabError } from '../domain/error.js'
import { imageFile, previousStateFile, type Layout } from '../domain/layout.js'
import { STATE_SCHEMA, type LabState } from '../domain/state.js'
import type { StateCheck, StateCheckLine } from '../domain/state-check.js'
import { errnoOf } from '../system/durable-file.js'
import { decodeEnvelope, type Reading } from './envelope.js'
import { withStateLock } from './lock.js'
import { recordFaults } from './record-faults.js'

/**
 * Looks at the state file, at the one before it, at what records say of each other, and whether the files that they name
 * are there. Changes nothing. Throws `state_locked` while a backend runs, `not_found` when there is no state folder,
 * `state_unreadable`.
 */
export async function checkState(layout: Layout): Promise<StateCheck> {
  return offline(layout, async () => {
    const current = await readState(layout.stateFile)
    const previous = await readState(previousStateFile(layout))
    const lines = [
      ...fileLines(basename(layout.stateFile), current),
      ...(previous.kind === 'missing' && current.kind === 'good'
        ? [] // after the first write there is none before it
        : fileLines(basename(previousStateFile(layout)), previous)),
    ]
    const usable = current.kind === 'good' ? 'current' : previous.kind === 'good' ? 'previous' : 'none'
    const used = current.kind === 'good' ? current : previous.kind === 'good' ? previous : undefined
    if (used) lines.push(...recordLines(used.snapshot.data), ...(await namedFileLines(layout, used.snapshot.data)))
    return { at: new Date().toISOString(), ok: lines.every(({ ok }) => ok), usable, lines }
  })
}

/** Runs `work` with nobody else at the state's files; for commands that come from outside of a backend. */
export async function offline<T>(layout: Layout, work: () => Promise<T>): Promise<T> {
  try {
    await lstat(layout.state)
    return await withStateLock(layout, work)
  } catch (error) {
    if (error instanceof SandlabError) throw error
    if (errnoOf(error) === 'ENOENT') {
      throw new SandlabError('not_found', `There is no state of SandLabX in ${layout.state}.`, {
        hint: 'Name the data folder with --data.',
        cause: error,
      })
    }
    throw new SandlabError('state_unreadable', `The state in ${layout.state} can't be read (${errnoOf(error)}).`, {
      hint: 'Run as the user who owns it.',
      cause: error,
    })
  }
}

export type StateReading = (Reading & { bytes: Buffer }) | { kind: 'missing' }

/** Throws `state_unreadable` when the system refuses to read it. */
export async function readState(path: string): Promise<StateReading> {
  try {
    const bytes = await readFile(path)
    return { ...decodeEnvelope(bytes.toString('utf8')), bytes }
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return { kind: 'missing' }
    throw new SandlabError('state_unreadable', `Could not read ${path} (${errnoOf(error)}).`, {
      hint: 'Look at its owner and rights and at the disk.',
      cause: error,
    })
  }
}

/** Envelope, checksum and schema, each with its own word: the first that is wrong ends it. */
function fileLines(subject: string, reading: StateReading): StateCheckLine[] {
  const line = (ok: boolean, message: string) => ({ subject, ok, message })
  if (reading.kind === 'missing') return [line(false, 'MISSING')]
  if (reading.kind === 'newer') {
    return [line(false, `a newer SandLabX wrote it (schema ${reading.schema}; this one knows ${STATE_SCHEMA})`)]
  }
  const well = ['is a state file of SandLabX', 'checksum is right']
  if (reading.kind === 'good') {
    const { schema, snapshot } = reading
    const older = schema < STATE_SCHEMA ? `, which a start brings to ${STATE_SCHEMA}` : ''
    return [...well, `schema ${schema}${older}, revision ${snapshot.revision}`].map((message) => line(true, message))
  }
  const { reason } = reading
  const passed = reason.startsWith('its checksum') ? 1 : /^its (data|schema)/.test(reason) ? 2 : 0
  return [...well.slice(0, passed).map((message) => line(true, message)), line(false, reason)]
}

function recordLines(data: LabState): StateCheckLine[] {
  const faults = recordFaults(data)
  if (faults.length > 0) return faults.map(({ subject, message }) => ({ subject, ok: false, message }))
  const { nodes, images, layers, snapshots } = data
  const counted = `${nodes.length} nodes, ${images.length} images, ${layers.length} layers, ${snapshots.length} snapshots`
  return [{ subject: 'records', ok: true, message: `${counted} agree with each other` }]
}

/** One line when all are there, else one for each that is not. */
async function namedFileLines(layout: Layout, data: LabState): Promise<StateCheckLine[]> {
  const named = namedFiles(layout, data)
  const missing: StateCheckLine[] = []
  for (const { subject, path, shown } of named) {
    if (!(await isThere(path))) missing.push({ subject, ok: false, message: `${shown} is MISSING` })
  }
  if (missing.length > 0) return missing
  return [{ subject: 'files', ok: true, message: `${named.length} files that the records name exist` }]
}

/** Every disk file that records name, with whose it is. */
export function namedFiles(layout: Layout, { nodes, images, layers }: LabState) {
  const inOverlays = (subject: string, file: string) => ({
    subject,
    path: file.includes('/') ? file : `${layout.overlays}/${file}`,
    shown: file.includes('/') ? file : `/overlays/${file}`,
  })
  return [
    ...nodes.flatMap(({ name, overlayFile, drives }) =>
      [overlayFile, ...drives.map(({ file }) => file)].map((file) => inOverlays(`node ${name}`, file)),
    ),
    ...layers.map(({ id, file }) => inOverlays(`layer ${id}`, file)),
    ...images.map(({ id, file }) => ({
      subject: `image ${id}`,
      path: imageFile(layout, file),
      shown: `/images/${file}`,
    })),
  ]
}

export async function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  )
}
