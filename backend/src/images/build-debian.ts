import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { runCommand } from '../system/command.js'
import type { OperationHandle } from '../transactions/operations.js'
import { buildFailure } from './build-failure.js'
import { addAllModules, type KernelTree } from './build-initrd.js'
import type { PackageSource } from './build-packages.js'
import { debianProgress } from './build-progress.js'
import type { ChrootMode } from './build-rights.js'
import { layTrees, packTree } from './build-tree.js'
import { RELEASE, type StarterRecipe } from './recipes.js'

const TIMEOUT_MS = 60 * 60_000

/** Not unpacked: translations. What licences ask for stays, and packages that a guest installs later are whole. */
const LEFT_OUT = [
  'path-exclude=/usr/share/locale/*',
  'path-include=/usr/share/locale/locale.alias',
  'path-exclude=/usr/share/doc/*',
  'path-include=/usr/share/doc/*/copyright',
]

export interface DebianBuild {
  recipe: StarterRecipe
  kernel: KernelTree
  source: PackageSource
  mode: ChrootMode
  op: OperationHandle
}

/**
 * Installs Debian into a tree by mmdebstrap and packs it. Returns the archive. Throws `missing_tool`, `download_failed`,
 * `no_space`, `cancelled`, `build_failed`.
 */
export async function makeDebianTree(build: DebianBuild): Promise<string> {
  const { recipe, kernel, op } = build
  await packAdditions(recipe, kernel)
  const temporary = join(kernel.folder, 'tmp')
  await mkdir(temporary, { mode: 0o711 })
  const progress = debianProgress(recipe.packages.length)
  try {
    await runCommand('mmdebstrap', mmdebstrapArguments(build), {
      cwd: kernel.folder,
      timeoutMs: TIMEOUT_MS,
      signal: op.signal,
      // In a user namespace mmdebstrap is another user, who may not be able to enter our folder.
      env: { DEBIAN_FRONTEND: 'noninteractive', ...(process.getuid?.() === 0 ? { TMPDIR: temporary } : {}) },
      onLine: (line) => {
        const step = progress(line)
        if (step) op.step(step.text, step.progress)
        if (/^[EW]: /.test(line)) op.log(line)
      },
    })
  } catch (error) {
    throw buildFailure(`build ${recipe.id}`, error)
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
  return join(kernel.folder, ROOT_ARCHIVE)
}

const ROOT_ARCHIVE = 'root.tar'
const ADDITIONS = 'additions.tar'

/** Names are relative to the staging folder: mmdebstrap would take a path apart at its spaces. */
function mmdebstrapArguments({ recipe, kernel, source, mode }: DebianBuild): string[] {
  const inTree = (command: readonly string[]) => `--customize-hook=chroot "$1" ${command.join(' ')}`
  return [
    `--mode=${mode}`,
    '--variant=minbase',
    '--architectures=amd64',
    '--format=tar',
    '--verbose',
    ...LEFT_OUT.map((line) => `--dpkgopt=${line}`),
    // Merged /usr from the start: else the package usrmerge moves all files, and brings the whole of Perl to do so.
    `--setup-hook=${MERGED_USR}`,
    // Not by --aptopt: that would be read by the user of the namespace, and a proxy's password is for nobody's eyes.
    `--setup-hook=copy-in ${source.settingsFile} /etc/apt/apt.conf.d/`,
    `--include=${recipe.packages.join(',')}`,
    `--customize-hook=tar-in ${ADDITIONS} /`,
    inTree(['depmod', '-a', kernel.release]),
    ...recipe.finish.map(inTree),
    // What was for this build only; SSH host keys are each guest's own.
    `--customize-hook=rm -f ${[
      `"$1"/etc/apt/apt.conf.d/${source.settingsFile}`,
      '"$1"/etc/dpkg/dpkg.cfg.d/99mmdebstrap',
      '"$1"/etc/apt/sources.list.d/*',
      '"$1"/etc/ssh/ssh_host_*_key*',
      '"$1"/etc/resolv.conf',
      '"$1"/var/log/*.log',
      '"$1"/var/log/apt/*',
      '"$1"/var/cache/ldconfig/aux-cache',
    ].join(' ')}`,
    RELEASE,
    ROOT_ARCHIVE,
    source.sourcesFile,
  ]
}

const MERGED_USR = 'for d in bin sbin lib lib64; do mkdir -p "$1/usr/$d"; ln -s "usr/$d" "$1/$d"; done'

/** Our files and the kernel's modules. The kernel itself is no package of the guest: QEMU loads it from `images/`. */
async function packAdditions(recipe: StarterRecipe, kernel: KernelTree): Promise<void> {
  const root = join(kernel.folder, 'additions')
  await mkdir(root)
  await addAllModules(kernel, root)
  await layTrees(recipe, root)
  await packTree(root, join(kernel.folder, ADDITIONS), kernel.signal, recipe.groups)
  await rm(root, { recursive: true })
}
