import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { TrashEntry } from '../domain/trash.js'
import { layerSidecarSchema, nodeSidecarSchema } from '../state/sidecar-records.js'
import { errnoOf } from '../system/durable-file.js'

/** `2026-11-21T14-55-39.123Z_<id>`, as folders have been named from the beginning. */
const NAMED = /^(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d)(\.\d+)?Z_/

/**
 * The entry of a folder that has none, or one that can't be read: told by the records beside the disks in it. Its `node` is
 * null when there is no record: then it can be looked at and purged, not restored. Null when the folder is not there.
 */
export async function readFormerEntry(folder: string, id: string): Promise<TrashEntry | null> {
  const names = await namesIn(folder)
  if (!names) return null
  const records = await Promise.all(names.filter((name) => name.endsWith('.json')).map((name) => jsonIn(folder, name)))
  const node = records.flatMap((one) => nodeSidecarSchema.safeParse(one).data?.record ?? [])[0] ?? null
  const layers = records.flatMap((one) => layerSidecarSchema.safeParse(one).data?.record ?? [])
  return {
    kind: 'sandlabx-trash',
    schema: 1,
    id,
    at: await timeOf(folder, id),
    reason: 'deleted',
    title: node ? `node ${node.name}` : 'storage of a former node',
    ownerId: node?.ownerId ?? null,
    actorLogin: 'unknown',
    operationId: null,
    node,
    layers,
    snapshots: [],
    drives: [],
    files: names.filter((name) => name !== 'entry.json').map((name) => ({ name, was: name })),
  }
}

async function namesIn(folder: string): Promise<string[] | null> {
  try {
    return (await readdir(folder)).filter((name) => !name.startsWith('.')).toSorted()
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return null
    throw error
  }
}

async function jsonIn(folder: string, name: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(join(folder, name), 'utf8'))
  } catch {
    return null // a record that can't be read tells nothing
  }
}

async function timeOf(folder: string, id: string): Promise<string> {
  const found = NAMED.exec(id)
  if (!found) return (await stat(folder)).mtime.toISOString()
  const [, day, hours, minutes, seconds, fraction] = found
  return `${day}T${hours}:${minutes}:${seconds}${fraction ?? ''}Z`
}
