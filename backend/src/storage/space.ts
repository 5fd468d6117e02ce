import { stat, statfs } from 'node:fs/promises'
import { SandlabError } from '../domain/error.js'
import type { SpaceNeed } from '../domain/plan.js'
import { formatBytes, MIB } from '../domain/units.js'

export interface FreeSpace {
  /** What an ordinary user may still write, in bytes. */
  freeBytes: number
  totalBytes: number
  /** `ext4`, `tmpfs`, …; a number in hex when it has no name here. */
  filesystem: string
}

/** Bytes that are about to be written to a folder. */
export interface Need {
  path: string
  bytes: number
}

/** What is asked for is multiplied by this: file systems need room for their own books. */
const MARGIN = 1.15
/** Kept free whatever is asked: the state must stay writable, and guests that write must find room for a while. */
export const KEPT_FREE_BYTES = 128 * MIB

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

/** What the operations of this process still may write, by file system. */
const reserved = new Set<{ device: number; bytes: number }>()

type Look = (path: string) => Promise<FreeSpace>

/** What `needs` would take now; nothing is reserved. Each folder must exist. */
export async function measureSpace(needs: readonly Need[], look: Look = freeSpace): Promise<SpaceNeed[]> {
  const found = await Promise.all(
    needs.map(async ({ path }) => ({ ...(await look(path)), device: await deviceOf(path) })),
  )
  // From here on nothing is awaited: two operations can't both take the last room.
  return needs.map(({ path, bytes }, index) => {
    const { freeBytes, device } = found[index] ?? { freeBytes: 0, device: 0 }
    const reservedBytes = [...reserved].reduce((sum, one) => sum + (one.device === device ? one.bytes : 0), 0)
    const availableBytes = freeBytes - reservedBytes - KEPT_FREE_BYTES
    const requiredBytes = Math.ceil(bytes * MARGIN)
    const freeUpBytes = Math.max(0, requiredBytes - availableBytes)
    return { path, requiredBytes, availableBytes, reservedBytes, keptFreeBytes: KEPT_FREE_BYTES, freeUpBytes }
  })
}

/**
 * Reserves room while `work` runs. Throws `no_space` with `requiredBytes`, `availableBytes`, `freeUpBytes` before it
 * does; `what` completes "Could not …". Advice, not a promise: others write too, so the write itself still handles a
 * full disk.
 */
export async function reserveSpace<T>(
  needs: readonly Need[],
  what: string,
  work: () => Promise<T>,
  look: Look = freeSpace,
): Promise<T> {
  const devices = await Promise.all(needs.map(({ path }) => deviceOf(path)))
  refuseShort(await measureSpace(needs, look), what)
  const mine = needs.map(({ bytes }, index) => ({ device: devices[index] ?? 0, bytes: Math.ceil(bytes * MARGIN) }))
  for (const one of mine) reserved.add(one)
  try {
    return await work()
  } finally {
    for (const one of mine) reserved.delete(one)
  }
}

/** As reserveSpace, for what writes at once and reserves nothing. */
export async function requireSpace(need: Need & { what: string }, look: Look = freeSpace): Promise<void> {
  refuseShort(await measureSpace([need], look), need.what)
}

function refuseShort(needs: readonly SpaceNeed[], what: string): void {
  const short = needs.find(({ freeUpBytes }) => freeUpBytes > 0)
  if (short) throw noSpace(short, what)
}

async function deviceOf(path: string): Promise<number> {
  return (await stat(path)).dev
}

/** The refusal with its three figures: required with the margin, available, how much to free. */
export function noSpace(need: SpaceNeed, what: string): SandlabError {
  const { requiredBytes, availableBytes, freeUpBytes, reservedBytes } = need
  const others = reservedBytes > 0 ? `, ${formatBytes(reservedBytes)} of it reserved by running operations` : ''
  return new SandlabError(
    'no_space',
    `Could not ${what}: it needs ${formatBytes(requiredBytes)} (with a margin of 15 %), and ` +
      `${formatBytes(Math.max(0, availableBytes))} are available${others}.`,
    {
      hint: `Free at least ${formatBytes(freeUpBytes)} on the disk of ${need.path}, then try again.`,
      details: { requiredBytes, availableBytes, freeUpBytes },
    },
  )
}
