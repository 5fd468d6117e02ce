import { mkdir, readdir, readlink, realpath, rename, rm, symlink } from 'node:fs/promises'
import { basename, join, relative } from 'node:path'
import type { Layout } from '../domain/layout.js'
import { errnoOf } from '../system/durable-file.js'
import type { EngineContext, Run } from './run.js'
import { pathInQemu } from './run-paths.js'

/**
 * `run/<node>/disks/<block node>`: a link to the file that a block node of this QEMU has now. Files are renamed under a
 * running QEMU at each live snapshot, and QEMU opens one again by the name that it was given: by these links that is
 * always the right one. They also tell which node belongs to which layer. They go with the run.
 */
const disksDir = (run: Run) => join(run.paths.dir, 'disks')

/** Notes (again) which file in `overlays/` a block node has. The folder is ours: QEMU can't write there. */
export async function pointNode(context: EngineContext, run: Run, node: string, file: string): Promise<void> {
  await mkdir(disksDir(run), { recursive: true, mode: 0o711 })
  const link = join(disksDir(run), node)
  const target = join(relative(await realpath(disksDir(run)), await realpath(context.layout.overlays)), file)
  await rm(`${link}.new`, { force: true })
  await symlink(target, `${link}.new`)
  await rename(`${link}.new`, link)
}

export async function forgetNode(run: Run, node: string): Promise<void> {
  await rm(join(disksDir(run), node), { force: true })
}

/** The link, as QEMU is given it. */
export function nodePathInQemu(context: EngineContext, run: Run, node: string): string {
  return pathInQemu(context.dataDir, join(disksDir(run), node))
}

/** The file name in `overlays/` that a block node has; undefined when no snapshot has touched it. */
export async function fileOfNode(run: Run, node: string): Promise<string | undefined> {
  return readlink(join(disksDir(run), node)).then(
    (target) => basename(target),
    () => undefined,
  )
}

/** The block node that has become this layer while it ran; undefined: the layer is older than the run, or unknown. */
export async function nodeOfFile(run: Run, file: string): Promise<string | undefined> {
  const nodes = await readdir(disksDir(run)).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  })
  for (const node of nodes) if ((await fileOfNode(run, node)) === file) return node
  return undefined
}

/** Where a block node's file is, for us. */
export async function pathOfNode(layout: Layout, run: Run, node: string, atStart: string): Promise<string> {
  return `${layout.overlays}/${(await fileOfNode(run, node)) ?? basename(atStart)}`
}
