import { readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'

export interface HostFigures {
  cpus: number
  /** MiB that this machine, or the container's limit, has. */
  memoryMib: number
  /** MiB that new processes can get without swapping. */
  freeMemoryMib: number
}

/** What this machine has now. In a container the smaller of the machine's memory and the container's limit. */
export async function readHostFigures(): Promise<HostFigures> {
  const memory = parseMeminfo(await readFile('/proc/meminfo', 'utf8'))
  const limitMib = Math.floor(process.constrainedMemory() / 1024 ** 2) // 0: no limit; huge: cgroup v1 without one
  const memoryMib = limitMib > 0 ? Math.min(memory.totalMib, limitMib) : memory.totalMib
  return {
    cpus: availableParallelism(),
    memoryMib,
    freeMemoryMib: Math.min(memory.availableMib, memoryMib),
  }
}

/** Reads proc(5)'s meminfo, whose figures are in KiB. Pure. */
export function parseMeminfo(text: string): { totalMib: number; availableMib: number } {
  return { totalMib: mib(text, 'MemTotal'), availableMib: mib(text, 'MemAvailable') }
}

function mib(text: string, field: string): number {
  const found = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(text)
  return Math.floor(Number(found?.[1] ?? 0) / 1024)
}
