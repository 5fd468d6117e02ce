import { readFile, rm } from 'node:fs/promises'
import { sidecarFile, type Layout } from '../domain/layout.js'
import type { NodeRecord } from '../domain/node.js'
import { readNodeSidecars, type NodeSidecar, type SidecarsFound } from '../state/sidecar-records.js'
import { errnoOf, fsyncDirectory, writeFileDurably } from '../system/durable-file.js'

/**
 * Writes the node's record beside its disk, durably, mode 0600 (it holds the guest's password hash); nothing is written
 * when it is there already. Rejects with the file system's error and leaves the old one.
 */
export function writeSidecar(layout: Layout, record: NodeRecord): Promise<void> {
  return put(layout, { kind: 'sandlabx-node', schema: 1, status: 'attached', record })
}

/** Says that the node was deleted and its storage kept. A rebuilt state leaves it out; attach takes it up again. */
export function markDetached(layout: Layout, record: NodeRecord): Promise<void> {
  return put(layout, { kind: 'sandlabx-node', schema: 1, status: 'detached', record })
}

/** All records in `overlays/`; broken ones are listed with their reason. */
export function readSidecars(layout: Layout): Promise<SidecarsFound<NodeSidecar>> {
  return readNodeSidecars(layout)
}

/** Absent is success. */
export async function removeSidecar(layout: Layout, nodeId: string): Promise<void> {
  await rm(sidecarFile(layout, nodeId), { force: true })
  await fsyncDirectory(layout.overlays)
}

async function put(layout: Layout, sidecar: NodeSidecar): Promise<void> {
  const path = sidecarFile(layout, sidecar.record.id)
  const text = `${JSON.stringify(sidecar, undefined, 2)}\n`
  if ((await currentText(path)) === text) return
  await writeFileDurably(path, text)
}

async function currentText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}
