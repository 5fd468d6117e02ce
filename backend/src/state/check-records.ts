import { z } from 'zod'
import { SandlabError } from '../domain/error.js'
import { labStateSchema, type LabState } from '../domain/state.js'
import { firstIssue } from './envelope.js'

const SCHEMAS = labStateSchema.shape

/**
 * Refuses (`internal`) a change whose records the next start could not read: a mistake of ours must end one request,
 * not the state file. `before` is right already: only what differs from it is parsed.
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
  // Where records were added or removed, others have moved.
  const known = records.length === before.length ? undefined : new Set<object | undefined>(before)
  for (let index = 0; index < records.length; index += 1) {
    const record = records[index]
    if (record && (record === before[index] || known?.has(record))) continue
    const issue = issueOf(SCHEMAS[name].element, before[index], record)
    if (issue !== undefined) throw misfit(`${name}.${index}`, issue)
  }
}

/** A field that has the same value as in a right record is right; parsing the whole takes 20 times as long. */
function issueOf(schema: z.ZodObject, before: object | undefined, record: object | undefined): string | undefined {
  const spansFields = (schema.def.checks?.length ?? 0) > 0
  if (!record || !before || spansFields) return failureOf(schema, record)
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
