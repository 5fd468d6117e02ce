import type Docker from 'dockerode'
import {
  nodeContainerCallSchemas,
  type BrokerFault,
  type NodeContainerCall,
  type NodeContainerRequest,
} from '../domain/node-container.js'
import type { UidRange } from '../system/identity.js'
import { containerName, containerOptions, LABELS } from './node-container.js'
import type { Place } from './place.js'

/** Refused, or failed; said to the caller as it is. */
export class BrokerError extends Error {
  readonly fault: BrokerFault['fault']
  constructor(fault: BrokerFault['fault'], message: string, options: { cause?: unknown } = {}) {
    super(message, options)
    this.name = 'BrokerError'
    this.fault = fault
  }
}

/** The four calls. Each takes the body as it came, and rejects with BrokerError. */
export type Broker = Record<NodeContainerCall, (body: unknown) => Promise<void>>

export interface BrokerOptions {
  docker: Docker
  place: Place
  /** Whom a node's QEMU may run as. */
  uids: UidRange
}

/** Touches no container but those that it made itself for this project, by their name and both labels. */
export function createBroker({ docker, place, uids }: BrokerOptions): Broker {
  /** Undefined when there is none, or one of that name that is somebody else's. */
  async function find(node: string): Promise<{ container: Docker.Container; isRunning: boolean } | undefined> {
    const container = docker.getContainer(containerName(place, node))
    try {
      const { Config, State } = await container.inspect()
      const isOurs = Config.Labels[LABELS.node] === node && Config.Labels[LABELS.project] === place.project
      return isOurs ? { container, isRunning: State.Running } : undefined
    } catch (error) {
      if (statusOf(error) === 404) return undefined
      throw dockerFault(error)
    }
  }

  async function create(call: NodeContainerRequest<'create'>): Promise<void> {
    if (call.uid < uids.first || call.uid >= uids.first + uids.count) {
      throw new BrokerError('bad-call', 'uid: not one of the numbers for nodes')
    }
    const left = await find(call.node)
    if (left?.isRunning) throw new BrokerError('conflict', 'A container of this node runs already.')
    if (left) await end(left.container)
    await docker.createContainer(containerOptions(place, call)).catch((error: unknown) => {
      if (statusOf(error) === 409) throw new BrokerError('conflict', 'The name of its container is taken.')
      throw dockerFault(error)
    })
  }

  async function start({ node }: NodeContainerRequest<'start'>): Promise<void> {
    const found = await find(node)
    if (!found) throw new BrokerError('not-found', 'There is no container of this node.')
    await allowing([304], found.container.start())
  }

  async function stop({ node, seconds }: NodeContainerRequest<'stop'>): Promise<void> {
    const found = await find(node)
    if (found?.isRunning) await allowing([304, 404], found.container.stop({ t: seconds }))
  }

  async function remove({ node }: NodeContainerRequest<'remove'>): Promise<void> {
    const found = await find(node)
    if (found) await end(found.container)
  }

  return {
    create: async (body) => create(parse('create', body)),
    start: async (body) => start(parse('start', body)),
    stop: async (body) => stop(parse('stop', body)),
    remove: async (body) => remove(parse('remove', body)),
  }
}

/** 409: it is being removed already, as each is when it ends. */
async function end(container: Docker.Container): Promise<void> {
  await allowing([404, 409], container.remove({ force: true }))
}

async function allowing(statuses: number[], work: Promise<unknown>): Promise<void> {
  await work.catch((error: unknown) => {
    if (!statuses.includes(statusOf(error) ?? 0)) throw dockerFault(error)
  })
}

function parse<C extends NodeContainerCall>(call: C, body: unknown): NodeContainerRequest<C> {
  const parsed = nodeContainerCallSchemas[call].safeParse(body)
  // The table's schemas are the types' source; TypeScript does not follow an index into it.
  if (parsed.success) return parsed.data as NodeContainerRequest<C>
  const faults = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'body'}: ${message}`)
  throw new BrokerError('bad-call', faults.join('; ').slice(0, 500))
}

function statusOf(error: unknown): number | undefined {
  const status = (error as { statusCode?: unknown } | undefined)?.statusCode
  return typeof status === 'number' ? status : undefined
}

function dockerFault(cause: unknown): BrokerError {
  const said = cause instanceof Error ? cause.message : String(cause)
  return new BrokerError('docker', `The container engine failed: ${said.slice(0, 1000)}`, { cause })
}
