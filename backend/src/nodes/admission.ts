import { SandlabError } from '../domain/error.js'

export interface Capacity {
  hostCpus: number
  hostMemoryMib: number
  /** MemAvailable now. */
  freeMemoryMib: number
}

export interface AdmissionRules {
  /** vCPUs that may be promised for each CPU of the host. */
  cpuOvercommit: number
  /** Guest memory that may be promised for each MiB of the host, after the reserve. */
  memoryOvercommit: number
  /** MiB kept for the host, the backend and the database. */
  memoryReserveMib: number
}

export interface Demand {
  cpus: number
  memoryMib: number
}

export interface Admission {
  cpusLeft: number
  memoryLeftMib: number
}

/** What is left for one more node, given what running and starting nodes were promised. Pure; never negative. */
export function roomLeft(capacity: Capacity, rules: AdmissionRules, promised: Demand[]): Admission {
  const cpus = sum(promised.map((demand) => demand.cpus))
  const memoryMib = sum(promised.map((demand) => demand.memoryMib))
  const memoryForNodes = (capacity.hostMemoryMib - rules.memoryReserveMib) * rules.memoryOvercommit
  const byPromise = memoryForNodes - memoryMib
  const byFreeNow = (capacity.freeMemoryMib - rules.memoryReserveMib / 2) * rules.memoryOvercommit
  return {
    cpusLeft: Math.max(0, Math.floor(capacity.hostCpus * rules.cpuOvercommit - cpus)),
    memoryLeftMib: Math.max(0, Math.floor(Math.min(byPromise, byFreeNow))),
  }
}

/** Refuses a start that does not fit, with the figures and what would fit. Throws `no_capacity`. */
export function admit(
  name: string,
  demand: Demand,
  capacity: Capacity,
  rules: AdmissionRules,
  promised: Demand[],
): void {
  const left = roomLeft(capacity, rules, promised)
  const lacks: string[] = []
  if (demand.memoryMib > left.memoryLeftMib) {
    lacks.push(`it needs ${demand.memoryMib} MiB of memory, ${left.memoryLeftMib} MiB are left`)
  }
  if (demand.cpus > left.cpusLeft) lacks.push(`it needs ${demand.cpus} vCPUs, ${left.cpusLeft} are left`)
  if (lacks.length === 0) return
  throw new SandlabError('no_capacity', `Not enough room to start ${name}: ${lacks.join('; ')}. Nothing was changed.`, {
    hint:
      left.memoryLeftMib >= 64 && left.cpusLeft >= 1
        ? `Stop another node, or give ${name} at most ${left.memoryLeftMib} MiB and ${left.cpusLeft} vCPUs.`
        : 'Stop another node first.',
    details: {
      required: demand,
      available: { cpus: left.cpusLeft, memoryMib: left.memoryLeftMib },
      host: capacity,
      promised: { cpus: sum(promised.map((d) => d.cpus)), memoryMib: sum(promised.map((d) => d.memoryMib)) },
      overcommit: { cpus: rules.cpuOvercommit, memory: rules.memoryOvercommit },
    },
  })
}

const sum = (values: number[]) => values.reduce((total, value) => total + value, 0)
