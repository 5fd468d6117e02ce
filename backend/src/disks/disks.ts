import type { NodesContext } from '../nodes/context.js'

/**
 * The room's door: what people do with the disks of nodes, one part for each subject. A part that works by itself from
 * time to time says how it is closed.
 */
export interface Disks {
  close(): void
}

export function createDisks(_context: NodesContext): Disks {
  return { close() {} }
}
