import { isSandlabError } from '../../domain/error.js'
import type { NodesContext } from '../../nodes/context.js'
import type { AttachIntent } from './attach-intent.js'
import { inUse, lookAtSource } from './attach-source.js'
import { readStoragePath } from './storage-path.js'

/** Alone on the file now: it must still be what was looked at. Throws `storage_in_use`, `storage_not_found`, `hostile_header`. */
export async function lookAgain(context: NodesContext, { path, shown, way, record }: AttachIntent): Promise<void> {
  if (way === 'fresh') return
  const operations = context.operations
  // Ours names the file as well.
  const others = { ...operations, list: () => operations.list().filter(({ target }) => target?.id !== record.id) }
  const read = readStoragePath(context.layout, shown)
  const found = await lookAtSource({ ...context, operations: others }, { ...read, absolute: path }).catch(
    (error: unknown) => {
      if (isSandlabError(error, 'storage_not_found')) throw inUse(shown, 'it has been taken, or moved, meanwhile')
      throw error
    },
  )
  if (found.virtualSizeBytes !== record.diskBytes) throw inUse(shown, 'it has changed since it was looked at')
}
