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

/** JSON of records that were written before, with a comma; a commit of one node in 1,000 stringifies one. */
const WRITTEN = new WeakMap<object, Buffer>()

/** The state file's bytes. Records must be frozen: their JSON is made once. */
export function encodeEnvelope({ revision, data }: Snapshot): Buffer {
  const pieces: Buffer[] = []
  for (const [name, records] of Object.entries(data)) {
    pieces.push(Buffer.from(`${pieces.length === 0 ? '{' : '],'}${JSON.stringify(name)}:[`))
    for (const record of records) pieces.push(jsonOf(record))
    const last = pieces.at(-1)
    if (records.length > 0 && last) pieces[pieces.length - 1] = last.subarray(0, -1) // no comma after the last one
  }
  pieces.push(Buffer.from(']}'))
  const json = Buffer.concat(pieces)
  const head = `{"schema":${STATE_SCHEMA},"revision":${revision},"sha256":"${sha256(json)}","data":`
  return Buffer.concat([Buffer.from(head), json, Buffer.from('}\n')])
}

function jsonOf(record: object): Buffer {
  let json = WRITTEN.get(record)
  if (json === undefined) {
    json = Buffer.from(`${JSON.stringify(record)},`)
    WRITTEN.set(record, json)
  }
  return json
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
