import { z } from 'zod'

const records = z.array(z.record(z.string(), z.unknown()))
const schema1 = z.object({ nodes: records, images: records, operations: records })

/** One step from a schema to the next. The list only ever grows at its end; a step that was released never changes. */
export interface Migration {
  /** The schema that it reads; it writes `from + 1`. */
  from: number
  /** What changed, as a sentence for the log. */
  title: string
  /** Pure. Throws when the data is not what schema `from` promised. */
  apply(data: unknown): unknown
}

/** Schema 1 is the first. */
export const MIGRATIONS: readonly Migration[] = [
  {
    from: 1,
    title: 'disks may stand on layers, and operations are transactions',
    apply: (data) => {
      const { nodes, images, operations } = schema1.parse(data)
      return {
        nodes: nodes.map((node) => ({ backing: { kind: 'image' }, ...node })),
        images,
        layers: [],
        operations: operations.map((operation) => ({
          outcome: null,
          resources: [],
          items: [],
          request: null,
          ...operation,
        })),
      }
    },
  },
]

/** Brings data from schema `from` to schema `to`, step by step. Throws when a step is missing or fails. */
export function migrate(data: unknown, from: number, to: number, migrations: readonly Migration[]): unknown {
  let migrated = data
  for (let schema = from; schema < to; schema += 1) {
    const step = migrations.find((migration) => migration.from === schema)
    if (!step) throw new Error(`there is no way from schema ${schema} to ${schema + 1}`)
    migrated = step.apply(migrated)
  }
  return migrated
}
