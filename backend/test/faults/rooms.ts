import { mkdir } from 'node:fs/promises'
import { readConfig } from '../../src/config.js'
import { nodeIdSchema } from '../../src/domain/ids.js'
import { createDisks, type Disks } from '../../src/disks/disks.js'
import { procedures } from '../../src/disks/procedures.js'
import { createBus, type Bus } from '../../src/events/bus.js'
import { createFakeEngine, type FakeEngine } from '../../src/hosts/fake-engine.js'
import type { ImagesContext } from '../../src/images/context.js'
import { sweepImageFolders } from '../../src/images/staging.js'
import type { Actor, NodesContext, NodesDependencies } from '../../src/nodes/context.js'
import { createNodes, type Nodes } from '../../src/nodes/nodes.js'
import { openStore, type OpenedStore, type Store } from '../../src/state/store.js'
import { sweepOverlayStaging } from '../../src/storage/overlays.js'
import { createLog, type Logger } from '../../src/system/log.js'
import { createNodeLocks } from '../../src/transactions/node-lock.js'
import { createOperations, type Operations } from '../../src/transactions/operations.js'
import { createTransactions, type Transactions } from '../../src/transactions/transactions.js'
import type { Layout } from '../../src/domain/layout.js'

/** Everything of a backend that touches the data folder, put together as `backend.ts` does, without HTTP and accounts. */
export interface Rooms {
  layout: Layout
  log: Logger
  bus: Bus
  store: Store
  loadedFrom: OpenedStore['loadedFrom']
  operations: Operations
  transactions: Transactions
  nodes: Nodes
  disks: Disks
  images: ImagesContext
  engine: FakeEngine
  close(): Promise<void>
}

/** Who asks in these tests. */
export const ACTOR: Actor = { id: '00000000-0000-4000-8000-000000000001', login: 'ada' }

/** Starts on a data folder: lock, state, recovery, reconciliation. Throws as they do. */
export async function openRooms(dataDir: string): Promise<Rooms> {
  const config = readConfig({ SANDLABX_DATA: dataDir, SANDLABX_GROWTH_RESERVE_MIB: '1' })
  const { layout } = config
  const log = createLog(process.env['SANDLABX_LOG_LEVEL'] ?? 'silent')
  const bus = createBus()
  await mkdir(layout.state, { recursive: true, mode: 0o700 })
  for (const folder of [layout.images, layout.overlays, layout.run]) await mkdir(folder, { recursive: true })
  const { store, loadedFrom } = await openStore({ layout, log })
  try {
    await sweepOverlayStaging(layout)
    const engine = createFakeEngine({ layout })
    const operations = createOperations({ store, bus, log })
    const transactions = await createTransactions({ layout, store, operations, log })
    const dependencies: NodesDependencies = {
      layout,
      store,
      engine,
      locks: createNodeLocks(),
      transactions,
      operations,
      secret: 'faults',
      bus,
      log,
      owners: { get: (id) => (id === ACTOR.id ? { login: ACTOR.login, role: 'administrator' } : undefined) },
      rules: { ...config, stopGraceMs: 0 },
      now: () => new Date(),
    }
    const nodes = await createNodes(dependencies, procedures)
    const disks = createDisks(nodes.context)
    await sweepImageFolders(layout, { keepStaging: (transactions.recovery?.failed.length ?? 0) > 0 })
    return {
      layout,
      log,
      bus,
      images: { layout, store, transactions, bus, log, now: () => new Date() },
      store,
      loadedFrom,
      operations,
      transactions,
      nodes,
      disks,
      engine,
      async close() {
        disks.close()
        nodes.close()
        await operations.close()
        await engine.close()
        await store.close()
      },
    }
  } catch (error) {
    await store.close()
    throw error
  }
}

/** Resolves when nothing goes on: what the start resumed has ended, well or not, and all of it is saved. */
export async function settled({ operations, store }: Rooms): Promise<void> {
  for (const { id, state } of operations.list()) {
    if (state === 'running') await operations.ended(id).catch(() => undefined) // whatever became of it is looked at
  }
  for (let left = 200; left > 0 && store.data.operations.some(({ state }) => state === 'running'); left -= 1) {
    await store.change(() => undefined)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** Kinds of all procedures that the product has; each must have a scenario here. */
export function procedureKinds(): string[] {
  // A procedure is made from its context and uses it only when it runs; here none does.
  const nothing: unknown = new Proxy(() => nothing, { get: () => nothing, apply: () => nothing })
  return procedures(nothing as NodesContext).map(({ kind }) => kind)
}

/** The id of the node of this name; throws when there is none. */
export function idOf(rooms: Rooms, name: string): string {
  const record = rooms.store.data.nodes.find((node) => node.name === name)
  if (!record) throw new Error(`there is no node ${name}`)
  return nodeIdSchema.parse(record.id)
}
