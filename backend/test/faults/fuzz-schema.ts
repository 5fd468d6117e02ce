import type { Random } from './fuzz-random.js'
import type { Json } from './fuzz-values.js'

/** The part of JSON Schema that our OpenAPI document uses. */
export interface Schema {
  $ref?: string
  type?: string | string[]
  enum?: Json[]
  const?: Json
  format?: string
  pattern?: string
  minimum?: number
  maximum?: number
  properties?: Record<string, Schema>
  required?: string[]
  items?: Schema
  anyOf?: Schema[]
  oneOf?: Schema[]
  allOf?: Schema[]
}

export interface Operation {
  method: string
  path: string
  parameters: { name: string; in: string; schema: Schema }[]
  body: Schema | undefined
  /** Error codes that it says it may answer, by status. */
  codes: Map<number, string[]>
}

export interface OpenApi {
  components?: { schemas?: Record<string, Schema> }
  paths: Record<string, Record<string, OpenApiOperation>>
}

interface OpenApiOperation {
  parameters?: { name: string; in: string; schema: Schema }[]
  requestBody?: { content?: Record<string, { schema?: Schema }> }
  responses: Record<string, { description?: string }>
}

export function operationsOf(document: OpenApi): Operation[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path,
      parameters: operation.parameters ?? [],
      body: operation.requestBody?.content?.['application/json']?.schema,
      codes: new Map(
        Object.entries(operation.responses).map(([status, { description }]) => [
          Number(status),
          (description ?? '').split(', '),
        ]),
      ),
    })),
  )
}

/** Texts of which one fits each pattern of the API; few, so that what is made of them is bounded. */
const SAMPLES = [
  'fuzz-a',
  'fuzz-b',
  'fuzz_c',
  'student',
  'ctrl',
  'a',
  '1',
  '52:54:00:00:00:01',
  'Aa1!x',
  'a'.repeat(64),
]

/** A value that the schema allows, as far as that can be said from it. */
export function validValue(schema: Schema, document: OpenApi, random: Random, depth = 0): Json {
  if (schema.$ref !== undefined) {
    const named = document.components?.schemas?.[schema.$ref.replace(/^.*\//, '')]
    return named && depth < 10 ? validValue(named, document, random, depth + 1) : null
  }
  const choices = schema.anyOf ?? schema.oneOf
  if (choices) return validValue(random.pick(choices), document, random, depth + 1)
  if (schema.allOf?.[0]) return validValue(schema.allOf[0], document, random, depth + 1)
  if (schema.const !== undefined) return schema.const
  if (schema.enum) return random.pick(schema.enum)
  const type = Array.isArray(schema.type) ? random.pick(schema.type) : schema.type
  if (type === 'boolean') return random.chance(0.5)
  if (type === 'integer' || type === 'number') return validNumber(schema, random)
  if (type === 'array') return schema.items ? [validValue(schema.items, document, random, depth + 1)] : []
  if (type === 'object') return validObject(schema, document, random, depth)
  if (type === 'string') return validText(schema, random)
  return null
}

function validNumber({ minimum, maximum }: Schema, random: Random): number {
  const low = Math.max(minimum ?? 0, -(2 ** 40))
  const high = Math.min(maximum ?? low + 10, low + 1024)
  return Math.floor(low + random.next() * (high - low))
}

function validObject(schema: Schema, document: OpenApi, random: Random, depth: number): Json {
  const required = new Set(schema.required)
  const properties = Object.entries(schema.properties ?? {}).filter(
    ([name]) => required.has(name) || random.chance(0.5),
  )
  return Object.fromEntries(properties.map(([name, one]) => [name, validValue(one, document, random, depth + 1)]))
}

function validText({ format, pattern }: Schema, random: Random): string {
  if (format === 'uuid') return random.pick(['@node@', '@user@', '@operation@', '00000000-0000-4000-8000-000000000000'])
  if (format === 'date-time') return '2026-11-21T00:00:00.000Z'
  if (pattern === undefined) return random.pick(['fuzz-a', 'something', 'a password of ten'])
  const start = random.whole(SAMPLES.length)
  const turned = [...SAMPLES.slice(start), ...SAMPLES.slice(0, start)]
  return turned.find((text) => new RegExp(pattern, 'u').test(text)) ?? 'fuzz-a'
}
