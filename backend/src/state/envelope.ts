import { createHash } from 'node:crypto'
import { z } from 'zod'
import { labStateSchema, STATE_SCHEMA, type LabState } from '../domain/state.js'
import { freezeTree } from './draft.js'
import { migrate, MIGRATIONS, type Migration } from './migrations.js'

/** What the store keeps: the data and how often it was changed. */
export interface Snapshot {
  revision: number
  data: LabState
}

/** The state file's outer form; it stays the same in every schema, so that an old SandLabX knows a newer file. */
const envelopeSchema = z.object({
  schema: z.int().nonnegative(),
  revision: z.int().nonnegative(),
  /** Lower-case hex, of `data` as compact JSON. */
  sha256: z.string(),
  data: z.unknown(),
})

export type Reading =
  | { kind: 'good'; snapshot: Snapshot; schema: number }
  | { kind: 'damaged'; reason: string }
  | { kind: 'newer'; schema: number }

/** Makes the state file's bytes from a snapshot whose records are frozen. */
export type Encoder = (snapshot: Snapshot) => Buffer

/**
 * An encoder that remembers the JSON of what it wrote last, so that a commit of one node in 1,000 stringifies one. By
 * place, not in a WeakMap: its keys cost the garbage collector more than the stringifying.
 */
export function createEncoder(): Encoder {
  const written = new Map<string, { records: readonly object[]; json: readonly Buffer[] }>()
  return ({ revision, data }) => {
    const pieces: Buffer[] = []
    for (const [name, records] of Object.entries(data)) {
      const json = jsonOf(records, written.get(name))
      written.set(name, { records, json })
      const last = json.at(-1)?.subarray(0, -1) // no comma after the last one
      pieces.push(Buffer.from(`${pieces.length === 0 ? '{' : '],'}${JSON.stringify(name)}:[`), ...json.slice(0, -1))
      if (last) pieces.push(last)
    }
    pieces.push(Buffer.from(']}'))
    const json = Buffer.concat(pieces)
    const head = `{"schema":${STATE_SCHEMA},"revision":${revision},"sha256":"${sha256(json)}","data":`
    return Buffer.concat([Buffer.from(head), json, Buffer.from('}\n')])
  }
}

/** Each record's JSON with a comma. */
function jsonOf(records: readonly object[], last?: { records: readonly object[]; json: readonly Buffer[] }): Buffer[] {
  // Where records were added or removed, others have moved.
  const moved =
    last && last.records.length !== records.length
      ? new Map(last.records.map((record, index) => [record, last.json[index]]))
      : undefined
  return records.map((record, index) => {
    const known = last?.records[index] === record ? last.json[index] : moved?.get(record)
    return known ?? Buffer.from(`${JSON.stringify(record)},`)
  })
}

/** Judges the text of a state file, migrating the data of an older schema. Never throws. */
export function decodeEnvelope(text: string, migrations: readonly Migration[] = MIGRATIONS): Reading {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return damaged(text.trim() === '' ? 'it is empty' : 'it is cut off or not JSON')
  }
  const envelope = envelopeSchema.safeParse(parsed).data
  if (!envelope) return damaged('it is JSON, but not a state file of SandLabX')
  if (envelope.schema > STATE_SCHEMA) return { kind: 'newer', schema: envelope.schema }
  if (sha256(JSON.stringify(envelope.data) ?? '') !== envelope.sha256) return damaged('its checksum is wrong')
  let data: unknown
  try {
    data = migrate(envelope.data, envelope.schema, STATE_SCHEMA, migrations)
  } catch (error) {
    return damaged(`its schema ${envelope.schema} could not be migrated: ${String(error)}`)
  }
  const checked = labStateSchema.safeParse(data)
  if (!checked.success) return damaged(`its data is not as it should be: ${firstIssue(checked.error)}`)
  const snapshot = { revision: envelope.revision, data: freezeTree(checked.data) }
  return { kind: 'good', schema: envelope.schema, snapshot }
}

/** `nodes.3.cpus: Too small…` */
export function firstIssue(error: z.ZodError): string {
  const issue = error.issues[0]
  return issue ? `${issue.path.join('.') || 'the whole'}: ${issue.message}` : error.message
}

function sha256(text: string | Buffer): string {
  return createHash('sha256').update(text).digest('hex')
}

function damaged(reason: string): Reading {
  return { kind: 'damaged', reason }
}
