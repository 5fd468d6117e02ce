import { readdir, lstat } from 'node:fs/promises'
import { nodeIdSchema, type NodeId } from '../domain/ids.js'
import { overlayFile, type Layout } from '../domain/layout.js'
import type { Identity, UidRange } from '../system/identity.js'
import { createLimiter } from '../system/limiter.js'
import { EngineError } from './engine.js'

/**
 * A user of its own for each node, so that a guest that has taken its QEMU over finds no other node's files. The user
 * needs no record: it is the owner of the node's disk.
 */
export interface NodeUsers {
  /**
   * The node's user: the owner of its disk when that one is in the range and no other node's, else the next free one.
   * Nothing is given to it here.
   */
  userOf(id: NodeId): Promise<Identity>
}

const OVERLAY = /^node_([0-9a-f-]{36})\.qcow2$/

export function createNodeUsers(layout: Layout, range: UidRange): NodeUsers {
  const nodeOf = new Map<number, NodeId>()
  const uidOf = new Map<NodeId, number>()
  const isOurs = (uid: number) => uid >= range.first && uid < range.first + range.count
  const claim = (uid: number, id: NodeId) => {
    const before = uidOf.get(id)
    if (before !== undefined) nodeOf.delete(before)
    nodeOf.set(uid, id)
    uidOf.set(id, uid)
    return { uid, gid: uid }
  }
  const keep = (uid: number | undefined, id: NodeId): Identity | undefined => {
    if (uid === undefined || !isOurs(uid)) return undefined
    const holder = nodeOf.get(uid)
    return holder === undefined || holder === id ? claim(uid, id) : undefined
  }
  let scanned: Promise<void> | undefined
  const scan = async () => {
    const ids = (await readdir(layout.overlays)).flatMap((name) => idIn(name) ?? [])
    const limiter = createLimiter(32)
    await Promise.all(ids.map((id) => limiter.run(async () => void keep(await ownerOf(layout, id), id))))
  }
  let next = 0
  return {
    async userOf(id) {
      await (scanned ??= scan())
      const kept = keep(await ownerOf(layout, id), id)
      if (kept) return kept
      if (nodeOf.size >= range.count) {
        // Nodes that are gone still hold theirs.
        nodeOf.clear()
        uidOf.clear()
        await (scanned = scan())
        const freed = keep(await ownerOf(layout, id), id)
        if (freed) return freed
      }
      for (let tried = 0; tried < range.count; tried += 1) {
        const uid = range.first + ((next + tried) % range.count)
        if (nodeOf.has(uid)) continue
        next = uid - range.first + 1 // not at once given to another node
        return claim(uid, id)
      }
      throw new EngineError('no-capacity', `All ${range.count} users for nodes are taken.`)
    },
  }
}

function idIn(name: string): NodeId | undefined {
  return nodeIdSchema.safeParse(OVERLAY.exec(name)?.[1]).data
}

async function ownerOf(layout: Layout, id: NodeId): Promise<number | undefined> {
  return lstat(overlayFile(layout, id)).then(
    (found) => found.uid,
    () => undefined,
  )
}
