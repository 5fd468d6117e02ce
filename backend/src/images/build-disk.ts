import { mkdir, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runCommand } from '../system/command.js'
import { buildFailure } from './build-failure.js'

const TIMEOUT_MS = 15 * 60_000

/**
 * ext4 as Debian 12's tools and kernel know it, whatever this machine's mke2fs would choose; the online growth that
 * resize_inode and 64bit leave room for goes to a thousand times the size.
 */
const FEATURES = [
  'none',
  'has_journal',
  'ext_attr',
  'resize_inode',
  'dir_index',
  'filetype',
  'extent',
  '64bit',
  'flex_bg',
  'sparse_super',
  'large_file',
  'huge_file',
  'dir_nlink',
  'extra_isize',
  'metadata_csum',
].join(',')

/**
 * Makes a disk with an ext4 file system from an archive, without mounting anything: unpacked into a folder, from which
 * mke2fs copies. An ordinary user does both under fakeroot, which remembers the owners. Returns the raw disk's path.
 *
 * Throws `missing_tool`, `no_space`, `cancelled`, `build_failed`.
 */
export async function makeDisk(
  folder: string,
  archive: string,
  sizeBytes: number,
  signal: AbortSignal,
): Promise<string> {
  const root = join(folder, 'root')
  const disk = join(folder, 'disk.raw')
  await mkdir(root)
  await writeFile(disk, '', { mode: 0o600 })
  await truncate(disk, sizeBytes)
  try {
    await asOwner(folder, 'tar', unpackArguments(archive, root), signal)
    await rm(archive)
    await asOwner(folder, 'mke2fs', mkfsArguments(root, disk), signal)
  } catch (error) {
    throw buildFailure('make the disk', error)
  }
  await rm(root, { recursive: true, force: true })
  return disk
}

function unpackArguments(archive: string, root: string): string[] {
  const options = ['--numeric-owner', '--same-owner', '--same-permissions']
  // File capabilities (ping has one). fakeroot spoils the mode of such a file, and our guests let everybody ping anyway.
  const attributes = isRoot() ? ['--xattrs', '--xattrs-include=*'] : []
  // Device nodes come from the kernel; making them needs rights that a container may not have.
  return ['--extract', `--file=${archive}`, `--directory=${root}`, ...options, ...attributes, '--exclude=./dev/*']
}

function mkfsArguments(root: string, disk: string): string[] {
  return ['-q', '-F', '-t', 'ext4', '-b', '4096', '-I', '256', '-m', '1', '-O', FEATURES, '-d', root, disk]
}

function asOwner(folder: string, binary: string, args: string[], signal: AbortSignal) {
  const options = { cwd: folder, timeoutMs: TIMEOUT_MS, signal }
  if (isRoot()) return runCommand(binary, args, options)
  return runCommand('fakeroot', ['-i', 'owners', '-s', 'owners', '--', binary, ...args], options)
}

function isRoot(): boolean {
  return process.getuid?.() === 0
}
