import { createHash } from 'node:crypto'
import { z } from 'zod'
import { labStateSchema, STATE_SCHEMA, type LabState } from '../domain/state.js'
import { createBreather } from '../system/breather.js'
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
export type Encoder = (snapshot: Snapshot) => Promise<Buffer>

/**
 * An encoder that remembers the JSON of what it wrote last, so that a commit of one node in 1,000 stringifies one. By
 * place, not in a WeakMap: its keys cost the garbage collector more than the stringifying. Megabytes are put together and
 * hashed in slices, so that requests are answered meanwhile.
 */
export function createEncoder(): Encoder {
  const written = new Map<string, { records: readonly object[]; json: readonly Buffer[] }>()
  return async ({ revision, data }) => {
    const pieces: Buffer[] = []
    for (const [name, records] of Object.entries(data)) {
      const json = jsonOf(records, written.get(name))
      written.set(name, { records, json })
      const last = json.at(-1)?.subarray(0, -1) // no comma after the last one
      pieces.push(Buffer.from(`${pieces.length === 0 ? '{' : '],'}${JSON.stringify(name)}:[`), ...json.slice(0, -1))
      if (last) pieces.push(last)
    }
    pieces.push(Buffer.from(']}'))
    return enclose(revision, pieces)
  }
}

const HASHED_AT_ONCE = 256 * 1024

/** The envelope around the JSON of the data, which comes in pieces. */
async function enclose(revision: number, pieces: readonly Buffer[]): Promise<Buffer> {
  const breathe = createBreather()
  const headOf = (sum: string) => `{"schema":${STATE_SCHEMA},"revision":${revision},"sha256":"${sum}","data":`
  const start = Buffer.byteLength(headOf('0'.repeat(64)))
  const end = pieces.reduce((sum, piece) => sum + piece.length, start)
  const bytes = Buffer.allocUnsafe(end + 2)
  let at = start
  for (const piece of pieces) {
    at += piece.copy(bytes, at)
    const turn = breathe()
    if (turn) await turn // an await for each of 20,000 pieces would cost more than copying them
  }
  const hash = createHash('sha256')
  for (let from = start; from < end; from += HASHED_AT_ONCE) {
    hash.update(bytes.subarray(from, Math.min(end, from + HASHED_AT_ONCE)))
    await breathe()
  }
  bytes.write(headOf(hash.digest('hex')), 0)
  bytes.write('}\n', end)
  return bytes
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
