import { chmod, cp, lstat, mkdir, open, readdir, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runCommand } from '../system/command.js'
import { buildFailure } from './build-failure.js'
import type { StarterRecipe } from './recipes.js'

const TIMEOUT_MS = 300_000

/** Beside this file, in the sources as in a build of them. */
export function recipeFolder(name: string): string {
  return fileURLToPath(new URL(`recipes/${name}`, import.meta.url))
}

/** Lays the recipe's folders and links into `root`, with the modes that a guest needs, whatever our umask is. */
export async function layTrees(recipe: StarterRecipe, root: string): Promise<void> {
  for (const tree of recipe.trees) await cp(recipeFolder(tree), root, { recursive: true })
  for (const [path, target] of Object.entries(recipe.links)) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await symlink(target, join(root, path))
  }
  await setModes(root)
  for (const [path, mode] of Object.entries(recipe.modes)) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await chmod(join(root, path), mode)
  }
}

/** Folders and scripts 0755, the rest 0644. */
export async function setModes(root: string): Promise<void> {
  await chmod(root, 0o755)
  for (const name of await readdir(root, { recursive: true })) {
    const path = join(root, name)
    const stats = await lstat(path)
    if (stats.isSymbolicLink()) continue
    await chmod(path, stats.isDirectory() || (await isProgram(path)) ? 0o755 : 0o644)
  }
}

/** A script or an ELF program: by its first bytes, because a checkout may lose the mode. */
async function isProgram(path: string): Promise<boolean> {
  const file = await open(path)
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(18), 0, 18, 0)
    const head = buffer.toString('latin1', 0, bytesRead)
    // ELF type 1 is a relocatable object: a kernel module.
    return head.startsWith('#!') || (head.startsWith('\x7fELF') && buffer[16] !== 1)
  } finally {
    await file.close()
  }
}

/** Packs a folder as if root owned all of it; `groups` gives some files another group, by path. */
export async function packTree(
  root: string,
  target: string,
  signal: AbortSignal,
  groups: Readonly<Record<string, number>> = {},
): Promise<void> {
  const special = Object.entries(groups)
  const options = { timeoutMs: TIMEOUT_MS, signal }
  const owner = (gid: number) => ['--owner=:0', `--group=:${gid}`, '--numeric-owner', '--sort=name', `--file=${target}`]
  try {
    const excluded = special.map(([path]) => `--exclude=./${path}`)
    await runCommand('tar', ['--create', ...owner(0), `--directory=${root}`, ...excluded, '.'], options)
    for (const [path, gid] of special) {
      await runCommand('tar', ['--append', ...owner(gid), `--directory=${root}`, `./${path}`], options)
    }
  } catch (error) {
    throw buildFailure("pack the guest's files", error)
  }
}
