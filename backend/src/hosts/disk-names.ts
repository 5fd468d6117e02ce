import { mkdir, readdir, readlink, realpath, rename, rm, symlink } from 'node:fs/promises'
import { basename, join, relative } from 'node:path'
import type { Layout } from '../domain/layout.js'
import { errnoOf } from '../system/durable-file.js'
import { startedWith } from './block-names.js'
import type { NodeSpec } from './engine.js'
import type { EngineContext } from './run.js'
import { pathInQemu, type RunPaths } from './run-paths.js'

/**
 * `run/<node>/disks/<block node>`: a link to the file that a block node of this QEMU has now. Files are renamed under a
 * running QEMU at each live snapshot, and QEMU opens one again by the name that it was given: by these links that is
 * always the right one. They also tell which node belongs to which layer. They go with the run.
 */

/** What a node's own disks are called for QEMU, and what the links have to point at. */
export interface LinkedDisks {
  args: string[]
  links: { node: string; file: string }[]
}

/**
 * QEMU's arguments with the links in the place of the disks that it writes to. QEMU 7.2 opens a file again by its name
 * when rights on it change, which a second snapshot does: under its own name it would by then be another disk. Pure.
 */
export function linkDisks(context: EngineContext, paths: RunPaths, spec: NodeSpec, args: string[]): LinkedDisks {
  const linked: LinkedDisks = { args: [...args], links: [] }
  for (const disk of spec.disks) {
    if (disk.path !== undefined || disk.readOnly || disk.format === 'raw' || spec.ephemeral) continue
    const blockdev = startedWith(args, disk.id)
    const node = blockdev['node-name']
    const at = linked.args.findIndex(
      (arg, index) => args[index - 1] === '-blockdev' && arg.includes(`"node-name":"${node}"`),
    )
    const file = { ...blockdev.file, filename: nodePathInQemu(context, paths, node) }
    linked.args[at] = JSON.stringify({ ...blockdev, file })
    linked.links.push({ node, file: disk.file })
  }
  return linked
}

/** Notes (again) which file in `overlays/` a block node has. The folder is ours: QEMU can't write there. */
export async function pointNode(context: EngineContext, paths: RunPaths, node: string, file: string): Promise<void> {
  await mkdir(paths.disks, { recursive: true, mode: 0o711 })
  const link = join(paths.disks, node)
  const target = join(relative(await realpath(paths.disks), await realpath(context.layout.overlays)), file)
  await rm(`${link}.new`, { force: true })
  await symlink(target, `${link}.new`)
  await rename(`${link}.new`, link)
}

export async function forgetNode(paths: RunPaths, node: string): Promise<void> {
  await rm(join(paths.disks, node), { force: true })
}

/** The link, as QEMU is given it. */
export function nodePathInQemu(context: EngineContext, paths: RunPaths, node: string): string {
  return pathInQemu(context.dataDir, join(paths.disks, node))
}

/** The file name in `overlays/` that a block node has; undefined when no snapshot has touched it. */
export async function fileOfNode(paths: RunPaths, node: string): Promise<string | undefined> {
  return readlink(join(paths.disks, node)).then(
    (target) => basename(target),
    () => undefined,
  )
}

/** The block node that has become this layer while it ran; undefined: the layer is older than the run, or unknown. */
export async function nodeOfFile(paths: RunPaths, file: string): Promise<string | undefined> {
  const nodes = await readdir(paths.disks).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  })
  for (const node of nodes) if ((await fileOfNode(paths, node)) === file) return node
  return undefined
}

/** Where a block node's file is, for us. */
export async function pathOfNode(layout: Layout, paths: RunPaths, node: string, atStart: string): Promise<string> {
  return `${layout.overlays}/${(await fileOfNode(paths, node)) ?? basename(atStart)}`
}
