import { z } from 'zod'

const records = z.array(z.record(z.string(), z.unknown()))
const schema1 = z.object({ nodes: records, images: records, operations: records })
const schema2 = schema1.extend({ layers: records })

/** What stays as it is is passed on as it is. */
const schema3 = z.looseObject({ nodes: records })

/** One step from a schema to the next. The list only ever grows at its end; a step that was released never changes. */
export interface Migration {
  /** The schema that it reads; it writes `from + 1`. */
  from: number
  /** What changed, as a sentence for the log. */
  title: string
  /** Pure. Throws when the data is not what schema `from` promised. */
  apply(data: unknown): unknown
}

/** A layer with a name was a snapshot of its node's root disk. */
function snapshotOf(layer: Record<string, unknown>) {
  const { id, nodeId, name, createdAt, operationId } = layer
  const told = { note: '', parentId: null, memory: null, consistency: 'live', automatic: null, actorLogin: '' }
  const disks = [{ driveId: 'root', layerId: id }]
  return { ...told, id, nodeId, name, disks, cpus: 1, memoryMib: 64, createdAt, operationId }
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
  {
    from: 2,
    title: 'nodes have drives and snapshots, and the lab has settings',
    apply: (data) => {
      const { nodes, images, layers, operations } = schema2.parse(data)
      const fresh = { rootDrive: {}, drives: [], drivesChangedAt: null, snapshotSchedule: null }
      return {
        nodes: nodes.map((node) => ({ ...fresh, ...node })),
        images,
        layers: layers.map(({ name: _name, ...layer }) => ({ driveId: 'root', ...layer })),
        snapshots: layers.filter(({ name }) => typeof name === 'string').map(snapshotOf),
        settings: [{ id: 'lab' }],
        operations,
      }
    },
  },
  {
    from: 3,
    title:
      'nodes may be suspended, and say what happens to them on stop, whether they are recorded, and their keyboard',
    apply: (data) => {
      const state = schema3.parse(data)
      const fresh = { suspended: null, onStop: null, recording: null, keyboard: null }
      return { ...state, nodes: state.nodes.map((node) => ({ ...fresh, ...node })) }
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
