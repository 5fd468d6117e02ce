import { createHash } from 'node:crypto'
import { z } from 'zod'
import { blockAnswerSchema, namedNodesAnswerSchema } from '../system/qmp-messages.js'
import type { QmpClient } from '../system/qmp.js'
import { EngineError } from './engine.js'

/**
 * QEMU's names for a node's disks. A drive's device is `disk-<drive>`. What it writes to is a block node, whose names have
 * at most 31 letters: the one that it was started with, or `over-<x>`, the fresh overlay of a live snapshot, where <x>
 * follows from the layer that it was put over; or, while the disk is frozen, `live` or `live-<x>` above one of them.
 */
const OVER = 'over-'
const LIVE = 'live'

export const deviceOf = (driveId: string) => `disk-${driveId}`

/** The node of the overlay that is put over a layer of this name. */
export function overNode(layerFile: string): string {
  return `${OVER}${shortHash(layerFile)}`
}

export const isOverNode = (node: string) => node.startsWith(OVER)

/** The node that holds a frozen disk's newest writes, above `overlay`. */
export function liveNode(overlay: string): string {
  return isOverNode(overlay) ? `${LIVE}-${overlay.slice(OVER.length)}` : LIVE
}

/** 20 letters that follow from a name. */
export function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 20)
}

/** What a drive writes to now. Throws EngineError `not-found` when QEMU has no such drive. */
export async function activeNode(client: QmpClient, driveId: string): Promise<string> {
  const blocks = await client.execute('query-block', blockAnswerSchema)
  const drive = blocks.find((block) => block.qdev?.split('/').includes(deviceOf(driveId)))
  const node = drive?.inserted?.['node-name']
  if (node !== undefined) return node
  throw new EngineError('not-found', `The node runs without a drive ${driveId}: it gets it at its next start.`)
}

/** All nodes that have a name. */
export async function nodeNames(client: QmpClient): Promise<Set<string>> {
  const nodes = await client.execute('query-named-block-nodes', namedNodesAnswerSchema, { flat: true })
  return new Set(nodes.flatMap((node) => node['node-name'] ?? []))
}

const blockdevSchema = z.looseObject({
  driver: z.string(),
  'node-name': z.string(),
  file: z.looseObject({ filename: z.string() }),
  get backing() {
    return blockdevSchema.nullish()
  },
})
export type Blockdev = z.infer<typeof blockdevSchema>

/**
 * What a drive was started with, from the arguments of its QEMU: its node with all that it stood on. Throws EngineError
 * `not-found` when there is no such drive, `unsupported` for one that is no qcow2. Pure.
 */
export function startedWith(args: readonly string[], driveId: string): Blockdev {
  const device = jsonOptions(args, '-device').find(({ id }) => id === deviceOf(driveId))
  const node = jsonOptions(args, '-blockdev').find((found) => found['node-name'] === device?.['drive'])
  if (!device || !node) {
    throw new EngineError('not-found', `The node runs without a drive ${driveId}: it gets it at its next start.`)
  }
  const parsed = blockdevSchema.safeParse(node)
  if (parsed.success && parsed.data.driver === 'qcow2') return parsed.data
  throw new EngineError('unsupported', `The drive ${driveId} is no qcow2 file: it can't have snapshots.`)
}

/** A blockdev and all below it, nearest first. */
export function chainOfBlockdev(blockdev: Blockdev): Blockdev[] {
  return [blockdev, ...(blockdev.backing ? chainOfBlockdev(blockdev.backing) : [])]
}

function jsonOptions(args: readonly string[], option: string): Record<string, unknown>[] {
  return args.flatMap((arg, index) => {
    if (args[index - 1] !== option || !arg.startsWith('{')) return []
    return [JSON.parse(arg) as Record<string, unknown>] // we wrote it, as an object
  })
}
