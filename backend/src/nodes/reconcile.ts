import type { NodeRecord } from '../domain/node.js'
import type { EngineNode } from '../hosts/engine.js'
import { writeSidecar } from '../storage/sidecars.js'
import { createLimiter } from '../system/limiter.js'
import { imageOf, publishNode, saveRecord, type NodesContext } from './context.js'
import { serialLines } from './serial-tail.js'
import { stopNode } from './stop.js'

export interface ReconcileReport {
  adopted: string[]
  crashed: string[]
  broken: { name: string; reason: string }[]
  /** Ids that the engine runs and no record names: told, never touched. */
  strangers: string[]
}

/** At boot: what was wanted meets what is. Running nodes are adopted, ended ones told, broken ones named. */
export async function reconcile(context: NodesContext): Promise<ReconcileReport> {
  const report: ReconcileReport = { adopted: [], crashed: [], broken: [], strangers: [] }
  const running = new Map((await context.engine.list()).map((node) => [node.id, node]))
  for (const [id, node] of running) {
    if (context.store.data.nodes.some((record) => record.id === id)) context.observations.setEngine(node)
    else report.strangers.push(id)
  }
  for (const record of context.store.data.nodes) await reconcileNode(context, record, running.get(record.id), report)
  await inspectAll(context, report)
  return report
}

async function reconcileNode(
  context: NodesContext,
  record: NodeRecord,
  node: EngineNode | undefined,
  report: ReconcileReport,
): Promise<void> {
  const alive = node !== undefined && ['running', 'paused', 'starting', 'stopping'].includes(node.phase)
  if (alive && record.desired === 'running') {
    report.adopted.push(record.name)
    await saveRecord(context, record.id, () => {}, {
      kind: 'adopted',
      text: 'SandLabX was started again and found it running.',
      actorLogin: null,
    })
  } else if (alive) {
    void stopNode(context, record.id, false, { id: null, login: 'system' }).catch((error: unknown) => {
      context.log.warn({ err: error, nodeId: record.id }, 'a stop that was cut short could not be finished')
    })
  } else if (record.desired === 'running' && node?.phase !== 'unknown') {
    await recordEnd(context, record, node)
    report.crashed.push(record.name)
  }
}

/** Notes an end that nobody asked for, or that the guest chose. */
export async function recordEnd(
  context: NodesContext,
  record: NodeRecord,
  node: EngineNode | undefined,
): Promise<void> {
  const at = node?.ended?.at ?? context.now().toISOString()
  const how = node?.ended?.how ?? 'crashed'
  const reason =
    node?.reason ?? (how === 'guest' ? 'The guest powered itself off.' : 'It ended while SandLabX was not running.')
  const serialTail = await serialLines(context.engine, record.id)
  await saveRecord(
    context,
    record.id,
    (draft) => {
      if (how !== 'crashed') draft.desired = 'stopped'
      draft.lastExit = { at, how, reason: reason.slice(0, 2000), serialTail }
    },
    { kind: how === 'crashed' ? 'crashed' : 'stopped', text: reason.slice(0, 2000), actorLogin: null },
  )
}

/** Looks at every node's files; a fault makes that node broken and no other. Sidecars that were missed are written. */
export async function inspectAll(context: NodesContext, report?: ReconcileReport): Promise<void> {
  const limiter = createLimiter(8)
  await Promise.all(
    context.store.data.nodes.map((record) =>
      limiter.run(async () => {
        // An action of ours may be changing its files at this moment; it looks at them itself when it has.
        if (context.locks.busy(record.id) !== undefined) return
        const before = context.observations.of(record.id)
        const fault = await context.observations.inspectStorage(record, imageOf(context, record.imageId))
        if (fault !== undefined) report?.broken.push({ name: record.name, reason: fault })
        else if (report) await writeSidecar(context.layout, record)
        const after = context.observations.of(record.id)
        if (before.storageFault !== after.storageFault || before.diskUsedBytes !== after.diskUsedBytes) {
          publishNode(context, record.id)
        }
      }),
    ),
  )
}
