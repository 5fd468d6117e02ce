import { createHash } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { z } from 'zod'
import { type Layout, overlayFile, sshHostKeysFile } from '../../domain/layout.js'
import type { NodeId } from '../../domain/ids.js'
import { errnoOf, writeFileDurably } from '../../system/durable-file.js'
import type { Logger } from '../../system/log.js'

/** What each node's SSH server was known by when it was last spoken to. */
export interface HostKeys {
  get(nodeId: NodeId): Promise<KnownHost | undefined>
  /** Durable when it resolves; a disk that refuses is logged, and the key is met for the first time again. */
  remember(nodeId: NodeId, fingerprint: string): Promise<void>
}

export interface KnownHost {
  fingerprint: string
  /** The node has had another disk since (a reset, a restored snapshot): its guest may well have made new keys. */
  isOtherDisk: boolean
}

const fileSchema = z.object({
  version: z.literal(1),
  nodes: z.record(z.string(), z.object({ fingerprint: z.string(), disk: z.string(), at: z.iso.datetime() })),
})
type Known = z.infer<typeof fileSchema>['nodes']

export interface HostKeysDependencies {
  layout: Layout
  log: Logger
  /** What is known of nodes that are gone is forgotten. */
  exists: (nodeId: string) => boolean
}

/** Kept in `state/ssh-host-keys.json`. A file that can't be read is begun anew: every key is then met for the first time. */
export async function openHostKeys({ layout, log, exists }: HostKeysDependencies): Promise<HostKeys> {
  const file = sshHostKeysFile(layout)
  let known = await readKnown(file, log)
  let written: Promise<void> = Promise.resolve()

  return {
    async get(nodeId) {
      const one = known[nodeId]
      if (!one) return undefined
      return { fingerprint: one.fingerprint, isOtherDisk: one.disk !== (await diskOf(layout, nodeId)) }
    },
    async remember(nodeId, fingerprint) {
      const disk = await diskOf(layout, nodeId)
      const before = known[nodeId]
      if (before?.fingerprint === fingerprint && before.disk === disk) return
      const others = Object.entries(known).filter(([id]) => id !== nodeId && exists(id))
      known = { ...Object.fromEntries(others), [nodeId]: { fingerprint, disk, at: new Date().toISOString() } }
      written = written.then(() => save(known))
      await written
    },
  }

  function save(nodes: Known): Promise<void> {
    return writeFileDurably(file, `${JSON.stringify({ version: 1, nodes }, null, 2)}\n`).catch((error: unknown) => {
      log.error({ err: error }, 'the host keys of guests could not be written down')
    })
  }
}

/** As OpenSSH shows it: `SHA256:` and base64 without padding. */
export function fingerprintOf(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`
}

async function readKnown(file: string, log: Logger): Promise<Known> {
  try {
    return fileSchema.parse(JSON.parse(await readFile(file, 'utf8'))).nodes
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') log.error({ err: error }, 'the host keys of guests are begun anew')
    return {}
  }
}

/** Changes with each new disk file; a disk that can't be looked at is like no other. */
async function diskOf(layout: Layout, nodeId: NodeId): Promise<string> {
  const found = await stat(overlayFile(layout, nodeId)).catch(() => undefined)
  return found ? `${found.ino} ${Math.round(found.birthtimeMs)}` : 'none'
}
