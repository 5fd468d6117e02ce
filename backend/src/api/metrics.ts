import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { NODE_STATUSES } from '../domain/node.js'
import type { Services } from './services.js'

const registry = new Registry()
collectDefaultMetrics({ register: registry, prefix: 'sandlabx_' })

const requestSeconds = new Histogram({
  name: 'sandlabx_http_request_seconds',
  help: 'Time to answer, by route and status',
  labelNames: ['method', 'path', 'status'],
  buckets: [0.005, 0.02, 0.1, 0.5, 2, 10, 60],
  registers: [registry],
})
const nodesByStatus = new Gauge({
  name: 'sandlabx_nodes',
  help: 'Nodes by observed status',
  labelNames: ['status'],
  registers: [registry],
})
const imagesTotal = new Gauge({ name: 'sandlabx_images', help: 'Base images', registers: [registry] })
const stateRevision = new Gauge({
  name: 'sandlabx_state_revision',
  help: 'Durable commits of the state file so far',
  registers: [registry],
})

/** `path` is the route's pattern, never the address as sent: the number of series stays bounded. */
export function countRequest(method: string, path: string, status: number, seconds: number): void {
  requestSeconds.observe({ method, path, status }, seconds)
}

export async function metricsText(services: Services): Promise<string> {
  if (services.lab) {
    const counts = Object.fromEntries(NODE_STATUSES.map((status) => [status, 0]))
    for (const node of services.lab.nodes.list()) counts[node.status] = (counts[node.status] ?? 0) + 1
    for (const [status, count] of Object.entries(counts)) nodesByStatus.set({ status }, count)
    imagesTotal.set(services.lab.store.data.images.length)
    stateRevision.set(services.lab.store.revision)
  }
  return registry.metrics()
}
