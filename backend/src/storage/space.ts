import { statfs } from 'node:fs/promises'
import { SandlabError } from '../domain/error.js'
import { formatBytes } from '../domain/units.js'

export interface FreeSpace {
  /** What an ordinary user may still write, in bytes. */
  freeBytes: number
  totalBytes: number
  /** `ext4`, `tmpfs`, …; a number in hex when it has no name here. */
  filesystem: string
}

/** What is asked for is multiplied by this: file systems need room for their own books. */
const MARGIN = 1.15

/** From linux/magic.h; ext2, ext3 and ext4 share one number. */
const FILESYSTEMS: Record<number, string> = {
  0xef53: 'ext4',
  0x5846_5342: 'xfs',
  0x9123_683e: 'btrfs',
  0x2fc1_2fc1: 'zfs',
  0x0102_1994: 'tmpfs',
  0x794c_7630: 'overlayfs',
  0x6969: 'nfs',
  0xff53_4d42: 'cifs',
  0x0102_1997: '9p',
  0x6573_5546: 'fuse',
  0x4d44: 'vfat',
  0xf2f5_2010: 'f2fs',
}

export async function freeSpace(path: string): Promise<FreeSpace> {
  const { bavail, blocks, bsize, type } = await statfs(path)
  const filesystem = FILESYSTEMS[type] ?? `0x${type.toString(16)}`
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize, filesystem }
}

/**
 * Refuses early what can't fit. Throws `no_space` with `requiredBytes`, `availableBytes`, `freeUpBytes`; `what`
 * completes "Could not …". Advice, not a promise: others write too, so the write itself still handles a full disk.
 */
export async function requireSpace(
  need: { path: string; bytes: number; what: string },
  measure: (path: string) => Promise<FreeSpace> = freeSpace,
): Promise<void> {
  const requiredBytes = Math.ceil(need.bytes * MARGIN)
  const { freeBytes: availableBytes } = await measure(need.path)
  if (availableBytes >= requiredBytes) return
  const freeUpBytes = requiredBytes - availableBytes
  throw new SandlabError(
    'no_space',
    `Could not ${need.what}: it needs ${formatBytes(requiredBytes)} and ${formatBytes(availableBytes)} are free.`,
    {
      hint: `Free ${formatBytes(freeUpBytes)} on the disk of ${need.path}, then try again.`,
      details: { requiredBytes, availableBytes, freeUpBytes },
    },
  )
}
