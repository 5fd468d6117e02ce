import { readFile } from 'node:fs/promises'

/** QEMU locks single bytes of a disk that it has open, from here on (block/file-posix.c: RAW_LOCK_*_BASE). */
const FIRST = 100
const LAST = 299

/**
 * Inodes of all disks that a QEMU, a qemu-nbd or a qemu-img of this machine has open and locked. The kernel's list names
 * locks of open files whoever holds them, also in other containers; empty where it can't be read.
 */
export async function lockedInodes(): Promise<Set<number>> {
  return inodesIn(await readFile('/proc/locks', 'utf8').catch(() => ''))
}

/** `1: OFDLCK ADVISORY READ -1 08:01:4711 100 101` → 4711. Devices are left out: some file systems show two. Pure. */
export function inodesIn(locks: string): Set<number> {
  const inodes = locks.split('\n').flatMap((line) => {
    const found = /OFDLCK.* [0-9a-f]+:[0-9a-f]+:(\d+) (\d+) (\d+|EOF)$/.exec(line)
    const [inode, from] = [Number(found?.[1]), Number(found?.[2])]
    return found && from >= FIRST && from <= LAST ? [inode] : []
  })
  return new Set(inodes)
}
