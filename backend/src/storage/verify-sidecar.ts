import { readFile } from 'node:fs/promises'
import type { z } from 'zod'
import { errnoOf } from '../system/durable-file.js'
import type { Seen } from './verify-disk.js'

interface Sidecar {
  path: string
  /** As records show it. */
  name: string
  schema: z.ZodType<{ record: Record<string, unknown> }>
  /** As the state has it. */
  record: Record<string, unknown>
  /** Fields that only tell what happened; they are not compared. */
  ignored?: readonly string[]
}

/** The record beside a disk against the state's, field by field. The state's is right. */
export async function verifySidecar({ path, name, schema, record, ignored = [] }: Sidecar): Promise<Seen> {
  const seen = (ok: boolean, message: string): Seen => ({ check: 'sidecar', path: name, ok, message })
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return null
    return `(${errnoOf(error)})`
  })
  if (text === null) return seen(false, 'MISSING')
  const read = schema.safeParse(parsed(text))
  if (!read.success) return seen(false, "can't be read: it is not the record of a disk")
  const beside = read.data.record
  const fields = Object.keys({ ...record, ...beside }).filter((field) => !ignored.includes(field))
  const different = fields.filter((field) => canonical(record[field]) !== canonical(beside[field]))
  if (different.length === 0) return seen(true, 'says what the record says')
  const told = different.map((field) => `${field} is ${short(beside[field])} there and ${short(record[field])} here`)
  return seen(false, `contradicts the record, which counts: ${told.join('; ')}`)
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // no record at all: the schema says so
  }
}

/** The same for the same value, whatever the order of its keys. */
function canonical(value: unknown): string {
  return (
    JSON.stringify(value, (_key, inner: unknown) =>
      typeof inner === 'object' && inner !== null && !Array.isArray(inner)
        ? Object.fromEntries(Object.entries(inner).toSorted(([one], [other]) => (one < other ? -1 : 1)))
        : inner,
    ) ?? 'nothing'
  )
}

const SHOWN_CHARACTERS = 60

function short(value: unknown): string {
  const text = canonical(value)
  return text.length <= SHOWN_CHARACTERS ? text : `${text.slice(0, SHOWN_CHARACTERS)}…`
}
