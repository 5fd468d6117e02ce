import { constants } from 'node:fs'
import { access, mkdir, stat } from 'node:fs/promises'
import { SandlabError } from '../domain/error.js'
import type { Layout } from '../domain/layout.js'
import { errnoOf } from './durable-file.js'
import { readMountPoints } from './mounts.js'

/**
 * Makes the data folders where they are missing, and sees to it that what is written there stays: `mustBeMounted` names
 * those that are worth nothing when they are part of a container. Throws `bad_config` with the line that mends it, before
 * anything is written.
 */
export async function openDataFolders(layout: Layout, mustBeMounted: readonly string[]): Promise<void> {
  const { images, overlays, state, run } = layout
  await requireMounts(mustBeMounted)
  await make(state, 0o700)
  for (const folder of [images, overlays, run]) await make(folder, 0o755)
  for (const folder of [overlays, images, state, run]) await requireWritable(folder)
}

/** A disk in a folder that belongs to the container is gone with the container: that was how labs were lost. */
async function requireMounts(folders: readonly string[]): Promise<void> {
  if (folders.length === 0) return
  const mounted = new Set(await readMountPoints())
  const missing = folders.find((folder) => !mounted.has(folder))
  if (missing === undefined) return
  throw new SandlabError(
    'bad_config',
    `${missing} is not mounted: what is written there would be lost with this container.`,
    {
      hint: `Give the service backend a volume for it in docker-compose.yml, such as \`- .${missing}:${missing}:rw\`.`,
      details: { folder: missing },
    },
  )
}

async function make(folder: string, mode: number): Promise<void> {
  await mkdir(folder, { recursive: true, mode }).catch((error: unknown) => {
    throw unusable(folder, error, undefined)
  })
}

async function requireWritable(folder: string): Promise<void> {
  try {
    await access(folder, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    throw unusable(folder, error, (await stat(folder).catch(() => undefined))?.uid)
  }
}

function unusable(folder: string, cause: unknown, owner: number | undefined): SandlabError {
  const details = { folder }
  if (errnoOf(cause) === 'EROFS') {
    return new SandlabError('bad_config', `${folder} is read-only, and SandLabX keeps people's work there.`, {
      hint: `Mount it for writing: in docker-compose.yml \`:rw\` and not \`:ro\` behind ${folder}, or remount its disk.`,
      details,
      cause,
    })
  }
  const whose = owner === undefined ? '' : `: it belongs to user ${owner}`
  const us = `${process.getuid?.() ?? ''}:${process.getgid?.() ?? ''}`
  return new SandlabError('bad_config', `SandLabX (user ${us.split(':')[0]}) may not write in ${folder}${whose}.`, {
    hint: `Give it the folder, on the host: sudo chown -R ${us} ${folder}. In a container that is the folder mounted there.`,
    details,
    cause,
  })
}
