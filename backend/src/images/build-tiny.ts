import { cp, copyFile, lstat, mkdir, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { addTinyModules, busyboxApplets, busyboxFile, type KernelTree } from './build-initrd.js'
import { unpackPackages, type PackageSource } from './build-packages.js'
import { layTrees, packTree } from './build-tree.js'
import { BECOMES_ROOT, type StarterRecipe } from './recipes.js'

/** Where resize2fs and what it needs at run time come from; busybox has no such applet. */
const RESIZE_PACKAGES = ['e2fsprogs', 'libext2fs2', 'libcom-err2', 'libc6']
const LIBRARIES = 'lib/x86_64-linux-gnu'
const RESIZE_FILES = [
  'sbin/resize2fs',
  ...['libe2p.so.2', 'libext2fs.so.2', 'libcom_err.so.2', 'libc.so.6'].map((name) => `${LIBRARIES}/${name}`),
  'lib64/ld-linux-x86-64.so.2',
]

const EMPTY_FOLDERS = ['dev', 'etc/skel', 'home', 'mnt', 'proc', 'root', 'run', 'sys', 'tmp', 'var/lib', 'var/log']

/** Makes the tree of a busybox guest and packs it. Returns the archive. */
export async function makeTinyTree(recipe: StarterRecipe, kernel: KernelTree, source: PackageSource): Promise<string> {
  const root = join(kernel.folder, 'tree')
  for (const name of EMPTY_FOLDERS) await mkdir(join(root, name), { recursive: true })
  await addBusybox(kernel, root)
  await addResize(kernel, root, source)
  await addTinyModules(kernel, root)
  await layTrees(recipe, root)
  await linkApplets(kernel, root)
  const archive = join(kernel.folder, 'tree.tar')
  await packTree(root, archive, kernel.signal, recipe.groups)
  return archive
}

async function addBusybox(kernel: KernelTree, root: string): Promise<void> {
  for (const path of ['bin/busybox', BECOMES_ROOT]) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await copyFile(busyboxFile(kernel), join(root, path))
  }
}

async function addResize(kernel: KernelTree, root: string, source: PackageSource): Promise<void> {
  const unpacked = join(kernel.folder, 'resize')
  await unpackPackages(source, RESIZE_PACKAGES, unpacked)
  for (const path of RESIZE_FILES) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await cp(join(unpacked, path), join(root, path), { dereference: true })
  }
}

/** Last: a name that the recipe has taken is left to it. */
async function linkApplets(kernel: KernelTree, root: string): Promise<void> {
  for (const path of await busyboxApplets(kernel)) {
    const target = join(root, path)
    const taken = await lstat(target).then(
      () => true,
      () => false,
    )
    if (taken) continue
    await mkdir(dirname(target), { recursive: true, mode: 0o755 })
    await symlink('/bin/busybox', target)
  }
}
