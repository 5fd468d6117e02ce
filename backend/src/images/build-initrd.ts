import { chmod, copyFile, cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runCommand } from '../system/command.js'
import { buildFailure } from './build-failure.js'
import { withoutTypes } from './build-module-file.js'
import { loadOrder, parseModulesDep, type ModuleIndex } from './build-modules.js'
import { recipeFolder } from './build-tree.js'

/**
 * What initrd/init loads, and when. `boot`: always, so it has only what the root disk needs; the others when a seed needs
 * them.
 */
const MODULE_LISTS = {
  boot: ['virtio_pci', 'virtio_blk'],
  seed: ['isofs'],
  storage: ['ata_piix', 'virtio_scsi', 'sd_mod', 'sr_mod'],
}

/** Modules of a tiny guest, for networks of several nodes. Debian guests have all. */
const TINY_MODULES = [
  ...Object.values(MODULE_LISTS).flat(),
  '8021q',
  'bonding',
  'bridge',
  'button',
  'dummy',
  'evdev',
  'tun',
  'veth',
  'virtio_net',
  'virtio_rng',
  'vxlan',
]

export interface KernelTree {
  /** Staging folder. */
  folder: string
  /** Where the kernel's package was unpacked. */
  tree: string
  /** Where busybox-static was unpacked. */
  busybox: string
  release: string
  signal: AbortSignal
}

const TIMEOUT_MS = 120_000

export const kernelFile = (kernel: KernelTree) => join(kernel.tree, 'boot', `vmlinuz-${kernel.release}`)
const modulesDir = (tree: string, release: string) => join(tree, 'lib/modules', release)

/**
 * Packs the initial RAM disk: busybox, the drivers for a root disk, and recipes/initrd. Returns its path. All files in it
 * belong to root, whoever builds. It is not compressed: unpacking costs the guest more than QEMU's reading does.
 */
export async function packInitrd(kernel: KernelTree): Promise<string> {
  const root = join(kernel.folder, 'initrd')
  for (const name of ['bin', 'dev', 'proc', 'sys', 'root', 'seed', 'tmp', 'lib/modules']) {
    await mkdir(join(root, name), { recursive: true })
  }
  for (const name of await readdir(recipeFolder('initrd'))) {
    await copyFile(join(recipeFolder('initrd'), name), join(root, name))
    await chmod(join(root, name), 0o755)
  }
  await copyFile(busyboxFile(kernel), join(root, 'bin/busybox'))
  await chmod(join(root, 'bin/busybox'), 0o755)
  await addDrivers(kernel, join(root, 'lib/modules'))
  return packCpio(kernel, root)
}

/** Each driver once, in the first list that needs it: a list's later ones rely on the earlier lists. */
async function addDrivers(kernel: KernelTree, target: string): Promise<void> {
  const index = await indexModules(kernel, kernel.tree)
  const done = new Set<string>()
  for (const [list, names] of Object.entries(MODULE_LISTS)) {
    const files = loadOrder(index, names).filter((file) => list === 'storage' || !done.has(file))
    for (const file of files) {
      done.add(file)
      const module = await readFile(join(modulesDir(kernel.tree, kernel.release), file))
      await writeFile(join(target, fileName(file)), withoutTypes(module))
    }
    await writeFile(
      join(target, `${list}.list`),
      files.map((file) => `${fileName(file).replace(/\.ko$/, '')}\n`).join(''),
    )
  }
}

/** Copies what a tiny guest may load into its tree, with the index that its modprobe reads. */
export async function addTinyModules(kernel: KernelTree, root: string): Promise<void> {
  const index = await indexModules(kernel, kernel.tree)
  for (const file of loadOrder(index, TINY_MODULES)) {
    const target = join(modulesDir(root, kernel.release), file)
    await mkdir(join(target, '..'), { recursive: true })
    await copyFile(join(modulesDir(kernel.tree, kernel.release), file), target)
  }
  await indexModules(kernel, root)
}

/** All modules, for a guest that has Debian's own depmod: to be run there. */
export async function addAllModules(kernel: KernelTree, root: string): Promise<void> {
  await cp(modulesDir(kernel.tree, kernel.release), join(root, 'usr/lib/modules', kernel.release), { recursive: true })
}

/** depmod of the busybox that was unpacked: the machine need not have one. */
async function indexModules(kernel: KernelTree, tree: string): Promise<ModuleIndex> {
  await runCommand(busyboxFile(kernel), ['depmod', '-b', tree, kernel.release], {
    timeoutMs: TIMEOUT_MS,
    signal: kernel.signal,
  }).catch((error: unknown) => {
    throw buildFailure("index the kernel's modules", error)
  })
  return parseModulesDep(await readFile(join(modulesDir(tree, kernel.release), 'modules.dep'), 'utf8'))
}

export const busyboxFile = (kernel: KernelTree) => join(kernel.busybox, 'bin/busybox')

/** Where each applet is expected: `bin/ls`. */
export async function busyboxApplets(kernel: KernelTree): Promise<string[]> {
  const { stdout } = await runCommand(busyboxFile(kernel), ['--list-full'], {
    timeoutMs: TIMEOUT_MS,
    signal: kernel.signal,
  })
  return stdout.split('\n').filter(Boolean)
}

async function packCpio(kernel: KernelTree, root: string): Promise<string> {
  const names = (await readdir(root, { recursive: true })).toSorted()
  const packed = join(kernel.folder, 'initrd.cpio')
  const args = ['--create', '--format=newc', '--owner=+0:+0', '--reproducible', '--quiet', `--file=${packed}`]
  await runCommand('cpio', args, {
    cwd: root,
    timeoutMs: TIMEOUT_MS,
    signal: kernel.signal,
    input: names.map((name) => `${name}\n`).join(''),
  }).catch((error: unknown) => {
    throw buildFailure('pack the initial RAM disk', error)
  })
  return packed
}

function fileName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}
