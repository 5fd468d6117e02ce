/**
 * QEMU's block graph as `-blockdev` JSON, every layer named: nothing is probed and no backing file is followed that a
 * file's header may name (QEMU docs/system/qemu-block-drivers; CVE-2014-0134 and its heirs). Pure.
 */
export interface RootDisk {
  /** The node's overlay, read and written. */
  overlay: string
  /** What it stands on, read only, nearest first; the last one is opened with no backing file of its own. */
  backing: string[]
}

/** The overlay over its chain. Discards free space in the overlay; the host's page cache is used (`cache.direct` off). */
export function overlayChain(nodeName: string, disk: RootDisk): object {
  const backing = disk.backing.reduceRight<object | null>(
    (below, file, index) => ({ ...readOnlyDrive(`${nodeName}-base${index || ''}`, file), backing: below }),
    null,
  )
  return { ...writableQcow2(nodeName, disk.overlay), backing }
}

/** A further layer, to be put over a disk of a running QEMU. */
export function freshLayer(nodeName: string, file: string): object {
  return { ...writableQcow2(nodeName, file), backing: null }
}

/** A further drive: a qcow2 of its own, without a base. */
export function standaloneDrive(nodeName: string, file: string): object {
  return { ...writableQcow2(nodeName, file), backing: null }
}

export function readOnlyDrive(nodeName: string, file: string): object {
  return {
    driver: 'qcow2',
    'node-name': nodeName,
    'read-only': true,
    file: { driver: 'file', filename: file, 'read-only': true },
    backing: null,
  }
}

/** A raw file as it is: the seed, the firmware. Raw is said, never probed: a guest can write any header. */
export function rawFile(nodeName: string, file: string, readOnly: boolean): object {
  return {
    driver: 'raw',
    'node-name': nodeName,
    'read-only': readOnly,
    file: { driver: 'file', filename: file, 'read-only': readOnly },
  }
}

function writableQcow2(nodeName: string, file: string): object {
  return {
    driver: 'qcow2',
    'node-name': nodeName,
    'read-only': false,
    discard: 'unmap',
    'detect-zeroes': 'unmap',
    cache: { direct: false, 'no-flush': false },
    file: {
      driver: 'file',
      filename: file,
      discard: 'unmap',
      aio: 'threads', // io_uring is blocked by container seccomp profiles, native needs O_DIRECT
      cache: { direct: false, 'no-flush': false },
    },
  }
}
