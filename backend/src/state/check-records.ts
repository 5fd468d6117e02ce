import { z } from 'zod'
import { SandlabError } from '../domain/error.js'
import { labStateSchema, type LabState } from '../domain/state.js'
import { firstIssue } from './envelope.js'

const SCHEMAS = labStateSchema.shape

/** Frozen records that fit their schema; a commit of one node in 1,000 looks at one. */
const CHECKED = new WeakSet()

/** Records that were just parsed need no second look. */
export function trustRecords(state: LabState): void {
  for (const records of Object.values(state)) for (const record of records) CHECKED.add(record)
}

/**
 * Refuses (`internal`) a change whose records the next start could not read: a mistake of ours must end one request,
 * not the state file. Records that did not change are not looked at again.
 */
export function checkRecords(before: LabState, after: LabState): void {
  if (before === after) return
  for (const name of Object.keys({ ...SCHEMAS, ...after })) {
    if (!isCollection(name)) throw misfit(name, 'the state has no such part')
    if (before[name] !== after[name]) checkCollection(name, before[name], after[name])
  }
}

function isCollection(name: string): name is keyof LabState {
  return Object.hasOwn(SCHEMAS, name)
}

function checkCollection(name: keyof LabState, before: readonly object[], after: unknown): void {
  if (!Array.isArray(after)) throw misfit(name, 'it is not a list')
  const records: readonly (object | undefined)[] = after
  for (let index = 0; index < records.length; index += 1) {
    const record = records[index]
    if (record && (record === before[index] || CHECKED.has(record))) continue
    const issue = issueOf(SCHEMAS[name].element, before[index], record)
    if (issue !== undefined) throw misfit(`${name}.${index}`, issue)
    if (record) CHECKED.add(record)
  }
}

/** Of a record that came from a checked one, only the fields that differ are parsed: 20 times quicker than the whole. */
function issueOf(schema: z.ZodObject, before: object | undefined, record: object | undefined): string | undefined {
  const spansFields = (schema.def.checks?.length ?? 0) > 0
  if (!record || !before || !CHECKED.has(before) || spansFields) return failureOf(schema, record)
  const [old, changed]: Record<string, unknown>[] = [{ ...before }, { ...record }]
  for (const [field, fieldSchema] of Object.entries(schema.shape)) {
    if (old?.[field] === changed?.[field]) continue
    const failure = failureOf(fieldSchema, changed?.[field])
    if (failure !== undefined) return `${field}: ${failure}`
  }
  return undefined
}

function failureOf(schema: z.core.$ZodType, value: unknown): string | undefined {
  const { error } = z.safeParse(schema, value)
  return error && firstIssue(error)
}

function misfit(where: string, what: string): SandlabError {
  return new SandlabError('internal', `A change would have broken the state: ${where}: ${what}`)
}
