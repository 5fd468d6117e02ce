import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { isSandlabError } from '../domain/error.js'
import { runCommand } from './command.js'
import { seedFiles, type Seed } from './seed-text.js'

export type { Seed }

const TIMEOUT_MS = 30_000
const ISO_NAME = 'seed.iso'

/**
 * Writes a NoCloud seed to `path`, mode 0600: an ISO 9660 volume `cidata` with Joliet and Rock Ridge names. A file of
 * that name is replaced at once or not at all.
 *
 * Throws `missing_tool` (genisoimage; xorriso is taken as well), CommandError.
 */
export async function makeSeedIso(path: string, seed: Seed): Promise<void> {
  const target = resolve(path)
  const folder = await mkdtemp(`${target}.`) // beside the target: renaming needs the same file system
  try {
    const files = seedFiles(seed)
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text, { mode: 0o600 })
    await packIso(folder, Object.keys(files))
    await rename(join(folder, ISO_NAME), target)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function packIso(folder: string, names: string[]): Promise<void> {
  // The file holds a password hash: nobody else may read it, so it exists with its mode before it is filled.
  await writeFile(join(folder, ISO_NAME), '', { mode: 0o600 })
  const args = ['-quiet', '-output', ISO_NAME, '-volid', 'cidata', '-joliet', '-rock', ...names]
  const options = { cwd: folder, timeoutMs: TIMEOUT_MS }
  try {
    await runCommand('genisoimage', args, options)
  } catch (error) {
    if (!isSandlabError(error, 'missing_tool')) throw error
    await runCommand('xorriso', ['-as', 'mkisofs', ...args], options).catch((second: unknown) => {
      throw isSandlabError(second, 'missing_tool') ? error : second
    })
  }
}
