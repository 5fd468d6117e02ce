import { createHash } from 'node:crypto'
import { link, readdir } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { SandlabError } from '../domain/error.js'
import { journalDir, previousStateFile, type Layout } from '../domain/layout.js'
import { STATE_SCHEMA, type LabState } from '../domain/state.js'
import type { StateRestorePlan, StateSource } from '../domain/state-check.js'
import { errnoOf, fsyncDirectory, storageFailure, writeFileDurably } from '../system/durable-file.js'
import { recordFaults } from './record-faults.js'
import { isThere, namedFiles, offline, readState, type StateReading } from './state-check.js'

type Good = Extract<StateReading, { kind: 'good' }>

/**
 * What it would mean to put this file in the place of the present one. Throws `state_locked`, `not_found`,
 * `state_newer` and, for a file that is damaged, `state_unreadable`; changes nothing.
 */
export async function planStateRestore(layout: Layout, source: StateSource): Promise<StateRestorePlan> {
  return offline(layout, async () => (await look(layout, source)).plan)
}

/**
 * Puts it in place, durably: the present file is kept under a dated name first, and the one before it stays as it is.
 * `token` is the plan's; `busy` when one of the files has changed since. Throws as the plan does, `no_space`, `state_io`.
 */
export async function restoreState(layout: Layout, source: StateSource, token: string): Promise<StateRestorePlan> {
  return offline(layout, async () => {
    const { plan, good } = await look(layout, source)
    if (plan.token !== token) {
      throw new SandlabError('busy', 'The state, or what would take its place, has changed since it was shown.', {
        hint: 'Nothing was changed. Try again.',
      })
    }
    try {
      if (plan.aside !== null) {
        await link(plan.to, plan.aside)
        await fsyncDirectory(dirname(plan.aside))
      }
      await writeFileDurably(plan.to, good.bytes)
    } catch (error) {
      throw storageFailure(`put ${plan.from} in place`, error)
    }
    return plan
  })
}

async function look(layout: Layout, source: StateSource): Promise<{ plan: StateRestorePlan; good: Good }> {
  const from = 'from' in source ? source.from : previousStateFile(layout)
  const good = refuseUnfit(from, await readState(from))
  const present = await readState(layout.stateFile)
  const before = present.kind === 'good' ? present.snapshot.data : undefined
  const { data, revision } = good.snapshot
  const stamp = new Date().toISOString().replaceAll(':', '-')
  const bytes = present.kind === 'missing' ? Buffer.alloc(0) : present.bytes
  const snapshotName = ({ name, nodeId }: LabState['snapshots'][number]) =>
    `${name} of ${[...data.nodes, ...(before?.nodes ?? [])].find(({ id }) => id === nodeId)?.name ?? nodeId}`
  const plan: StateRestorePlan = {
    from,
    to: layout.stateFile,
    aside: present.kind === 'missing' ? null : `${layout.stateFile}.before-restore-${stamp}`,
    revision,
    schema: good.schema,
    nodes: changesOf(before?.nodes, data.nodes, ({ name }) => name),
    images: changesOf(before?.images, data.images, ({ id }) => id),
    snapshots: changesOf(before?.snapshots, data.snapshots, snapshotName),
    warnings: await warningsOf(layout, present, data),
    token: createHash('sha256').update(bytes).update('\0').update(good.bytes).digest('hex'),
  }
  return { plan, good }
}

function refuseUnfit(from: string, reading: StateReading): Good {
  if (reading.kind === 'good') return reading
  if (reading.kind === 'missing') {
    throw new SandlabError('not_found', `There is no ${from}.`, { hint: 'Nothing was changed.' })
  }
  if (reading.kind === 'newer') {
    throw new SandlabError(
      'state_newer',
      `${from} was written by a newer SandLabX (schema ${reading.schema}; this one knows ${STATE_SCHEMA}).`,
      { hint: 'Nothing was changed. Restore it with that newer SandLabX.' },
    )
  }
  throw new SandlabError('state_unreadable', `${from} can't take the state's place: ${reading.reason}.`, {
    hint: 'Nothing was changed. Try another backup, or `sandlabx state rebuild` while it runs in safe mode.',
  })
}

function changesOf<R extends { id: string }>(
  before: readonly R[] | undefined,
  after: readonly R[],
  name: (record: R) => string,
): StateRestorePlan['nodes'] {
  const old = new Map((before ?? []).map((record) => [record.id, record]))
  const kept = new Set(after.map(({ id }) => id))
  return {
    comes: after.filter(({ id }) => !old.has(id)).map(name),
    goes: (before ?? []).filter(({ id }) => !kept.has(id)).map(name),
    changes: after
      .filter((record) => old.has(record.id) && JSON.stringify(old.get(record.id)) !== JSON.stringify(record))
      .map(name),
  }
}

async function warningsOf(layout: Layout, present: StateReading, data: LabState): Promise<string[]> {
  const warnings: string[] = []
  if (present.kind === 'newer') warnings.push(`${basename(layout.stateFile)} was written by a newer SandLabX.`)
  for (const { subject, message } of recordFaults(data)) warnings.push(`${subject}: ${message}`)
  for (const { subject, path, shown } of namedFiles(layout, data)) {
    if (!(await isThere(path))) warnings.push(`${subject}: ${shown} is missing, so it would show as broken`)
  }
  const unfinished = await readdir(journalDir(layout)).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  })
  const intents = unfinished.filter((name) => name.endsWith('.json')).length
  if (intents > 0) {
    warnings.push(
      `${intents} operations were under way when SandLabX ended; the next start takes them back or finishes them`,
    )
  }
  return warnings
}
