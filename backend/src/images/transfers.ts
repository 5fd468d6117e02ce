import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises'
import { z } from 'zod'
import { SandlabError } from '../domain/error.js'
import { transferFile, transfersDir, type Layout } from '../domain/layout.js'
import { beginTransferSchema, type BeginTransfer } from '../domain/transfer.js'
import { errnoOf, writeFileDurably } from '../system/durable-file.js'
import { QUARANTINE_MS } from './staging.js'

/** What another SandLabX has begun to send; kept until it is committed, or nobody goes on with it. */
export const keptTransferSchema = z.object({
  id: z.uuid(),
  /** The account by whose token it comes. */
  ownerId: z.string(),
  request: beginTransferSchema,
})
export type KeptTransfer = z.infer<typeof keptTransferSchema>

/** Derived, so that the same request is the same transfer, whatever was lost on the way. */
export function transferIdOf(ownerId: string, { kind, key }: Pick<BeginTransfer, 'kind' | 'key'>): string {
  const hex = createHash('sha256').update(`${ownerId}\n${kind}\n${key}`).digest('hex')
  // The form of a random UUID (RFC 9562, version 8).
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

export async function keepTransfer(layout: Layout, transfer: KeptTransfer): Promise<void> {
  await mkdir(transfersDir(layout), { recursive: true, mode: 0o700 })
  await writeFileDurably(transferFile(layout, transfer.id), JSON.stringify(transfer))
}

/** Undefined when there is none, or it is somebody else's. */
export async function findTransfer(layout: Layout, id: string, ownerId: string): Promise<KeptTransfer | undefined> {
  try {
    const kept = keptTransferSchema.parse(JSON.parse(await readFile(transferFile(layout, id), 'utf8')))
    return kept.ownerId === ownerId ? kept : undefined
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** Throws `not_found`. */
export async function requireTransfer(layout: Layout, id: string, ownerId: string): Promise<KeptTransfer> {
  const found = await findTransfer(layout, id, ownerId)
  if (found) return found
  throw new SandlabError('not_found', 'There is no such transfer.', {
    hint: 'It may have been committed or cancelled, or nobody went on with it for two days. Begin it again.',
  })
}

/** Absent is success. */
export async function forgetTransfer(layout: Layout, id: string): Promise<void> {
  await rm(transferFile(layout, id), { force: true })
}

/** Removes what nobody went on with. */
export async function sweepTransfers(layout: Layout, now: number): Promise<void> {
  const names = await readdir(transfersDir(layout)).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  })
  for (const name of names) {
    const path = `${transfersDir(layout)}/${name}`
    const found = await stat(path).catch(() => undefined) // committed meanwhile
    if (found && now - found.mtimeMs > QUARANTINE_MS) await rm(path, { force: true })
  }
}
