import type { NodeRecord } from '../domain/node.js'
import { admit } from './admission.js'
import type { NodesContext } from './context.js'

/**
 * Reserves CPUs and memory for a start, until the caller deletes the id from `context.admitted`. Throws `no_capacity`
 * with the figures.
 */
export async function admitNode(
  context: NodesContext,
  record: Pick<NodeRecord, 'id' | 'name' | 'cpus' | 'memoryMib'>,
): Promise<void> {
  const report = await context.engine.probe()
  const hosts = report.hosts.filter((host) => host.up)
  const total = (pick: (host: (typeof hosts)[number]) => number) => hosts.reduce((sum, host) => sum + pick(host), 0)
  const promised = new Map(context.admitted)
  for (const node of context.store.data.nodes) {
    const phase = context.observations.of(node.id).engine?.phase
    if (phase === 'running' || phase === 'paused' || phase === 'unknown') promised.set(node.id, node)
  }
  promised.delete(record.id)
  admit(
    record.name,
    record,
    {
      hostCpus: total((h) => h.cpus),
      hostMemoryMib: total((h) => h.memoryMib),
      freeMemoryMib: total((h) => h.freeMemoryMib),
    },
    context.rules,
    [...promised.values()],
  )
  // No await between the sum and this line: two starts can't both take the last memory.
  context.admitted.set(record.id, { cpus: record.cpus, memoryMib: record.memoryMib })
}
