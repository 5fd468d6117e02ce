import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { uefiVariablesFile } from '../domain/layout.js'
import type { Identity } from '../system/identity.js'
import { errnoOf } from '../system/durable-file.js'
import { EngineError, type NodeSpec } from './engine.js'
import type { EngineContext } from './run.js'

/**
 * Gives a node's files to its user before a start, whoever had them (a restored, cloned or older disk): the disks it
 * writes and its UEFI variables, mode 0600. What it only reads stays the backend's, readable for all who know the name.
 * A person's own file, outside `overlays/`, is left as it is.
 * Throws EngineError `broken` when one is no plain file.
 */
export async function giveFiles(context: EngineContext, spec: NodeSpec, user: Identity | undefined): Promise<void> {
  if (!user) return
  const inOverlays = (file: string) => `${context.layout.overlays}/${file}`
  const disks = spec.disks.filter(({ path }) => path === undefined)
  const written = disks.filter((disk) => !disk.readOnly).map((disk) => inOverlays(disk.file))
  const read = disks.filter((disk) => disk.readOnly).map((disk) => inOverlays(disk.file))
  const layers = [...(spec.backing?.layers ?? []), ...disks.flatMap((disk) => disk.backing?.layers ?? [])]
  await Promise.all([
    ...[...written, uefiVariablesFile(context.layout, spec.id)].map((path) => give(path, user, 0o600)),
    ...[...read, ...layers.map(inOverlays)].map((path) => give(path, { uid: 0, gid: 0 }, 0o444)),
  ])
}

/** By descriptor, and never a link: the owner before could have put one there. A file that is not there is not made. */
async function give(path: string, user: Identity, mode: number): Promise<void> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    (error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return undefined
      throw error
    },
  )
  if (!file) return
  try {
    const found = await file.stat()
    if (!found.isFile() || found.nlink !== 1) throw new EngineError('broken', `${path} is not a plain file.`)
    if (found.uid !== user.uid || found.gid !== user.gid) await file.chown(user.uid, user.gid)
    if ((found.mode & 0o7777) !== mode) await file.chmod(mode)
  } finally {
    await file.close()
  }
}
