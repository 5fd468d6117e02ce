import { isSandlabError } from '../domain/error.js'
import { formatBytes, MIB } from '../domain/units.js'
import { l1Entries, parseQcow2Header, type Qcow2Extension, type Qcow2Header } from '../system/qcow2.js'
import type { ImageLimits } from './image-limits.js'
import { CONVERT_YOURSELF, COPY_AGAIN, refused } from './refusal.js'

/** Where a checked file keeps its tables; bytes. */
export interface Qcow2Tables {
  virtualSizeBytes: number
  clusterBytes: number
  /** Entries of the level-1 table that the virtual size needs. */
  l1Entries: number
  l1Offset: number
  /** With extended L2 an entry has 16 bytes. */
  l2EntryBytes: 8 | 16
}

/** 104 and the compression type with its padding; a longer header is from a later format than QEMU's of today. */
const HEADER_MAX_BYTES = 112
const MAX_REFCOUNT_TABLE_BYTES = 8 * MIB

/**
 * What a base image may say in its qcow2 header, before any QEMU tool has seen the file: everything that names other
 * files, hides data, or that a base image does not need is refused. `firstCluster` is the whole file when that is
 * shorter. Rules from QEMU's `docs/interop/qcow2.rst`. Throws `image_refused`.
 */
export function checkQcow2Header(firstCluster: Buffer, fileBytes: number, limits: ImageLimits): Qcow2Tables {
  const header = parse(firstCluster, fileBytes)
  refuseForeignData(header)
  refuseUnsound(header)
  refuseCompressionLie(header)
  refuseExtensions(header.extensions)
  refuseSize(header, limits)
  const extended = header.incompatible.includes('extended-l2')
  return {
    virtualSizeBytes: header.virtualSizeBytes,
    clusterBytes: 2 ** header.clusterBits,
    l1Entries: l1Entries(header.virtualSizeBytes, header.clusterBits, extended),
    l1Offset: header.l1TableOffset,
    l2EntryBytes: extended ? 16 : 8,
  }
}

/** What the parser can't make sense of, in our words and with the next step. */
function parse(firstCluster: Buffer, fileBytes: number): Qcow2Header {
  try {
    return parseQcow2Header(firstCluster, fileBytes)
  } catch (error) {
    if (!isSandlabError(error, 'image_refused')) throw error
    const said = error.details?.['reason']
    const reason = typeof said === 'string' ? said : 'it contradicts itself'
    const hint = /beyond the end|cut off/.test(reason) ? COPY_AGAIN : CONVERT_YOURSELF
    throw refused(`The file's qcow2 header is damaged or forged: ${reason}. Reading on would be a guess.`, hint)
  }
}

function refuseForeignData(header: Qcow2Header): void {
  if (header.backingFileOffset !== 0) {
    throw refused(
      'The file has a backing file: part of its data is read from another file, which it can choose among those of this server.',
      CONVERT_YOURSELF,
      { found: 'backing file' },
    )
  }
  if (header.incompatible.includes('data-file')) {
    throw refused(
      'The file keeps its data in an external data file, which it can choose among those of this server.',
      CONVERT_YOURSELF,
      { found: 'external data file' },
    )
  }
  if (header.cryptMethod !== 0) {
    throw refused(
      'The file is encrypted; nobody could open it when a node starts.',
      'Decrypt it on your own machine with `qemu-img convert`, then give the plain file.',
      { found: 'encryption' },
    )
  }
  if (header.snapshotCount !== 0) {
    throw refused(
      `The file holds ${header.snapshotCount} internal snapshots. Reading their list can take very long and much memory, and a base image has no use for them.`,
      CONVERT_YOURSELF,
      { found: 'internal snapshots' },
    )
  }
}

function refuseUnsound(header: Qcow2Header): void {
  const marks = header.incompatible.filter((feature) => feature === 'dirty' || feature === 'corrupt')
  if (marks.length > 0) {
    throw refused(
      `The file is marked as ${marks.join(' and ')}, so its contents can't be trusted.`,
      'Repair it on your own machine with `qemu-img check -r all FILE`, see that it starts there, then give it again.',
      { found: marks.join(' and ') },
    )
  }
  if (header.unknownIncompatibleBits !== 0n) {
    throw refused(
      `The file needs features that are not known here (bits 0x${header.unknownIncompatibleBits.toString(16)}), so it can't be checked.`,
      CONVERT_YOURSELF,
      { found: 'unknown features' },
    )
  }
  if (header.headerLength > HEADER_MAX_BYTES) {
    throw refused(
      `The file's qcow2 header has ${header.headerLength} bytes, more than any known version, so it can't be checked.`,
      CONVERT_YOURSELF,
    )
  }
  const refcountTableBytes = header.refcountTableClusters * 2 ** header.clusterBits
  if (refcountTableBytes > MAX_REFCOUNT_TABLE_BYTES) {
    throw refused(
      `The file's reference counts claim a table of ${formatBytes(refcountTableBytes)}; QEMU reads ${formatBytes(MAX_REFCOUNT_TABLE_BYTES)} at most.`,
      CONVERT_YOURSELF,
    )
  }
  if (header.incompatible.includes('extended-l2') && header.clusterBits < 14) {
    throw refused(
      'The file has extended L2 entries with clusters below 16 KiB, which QEMU never writes.',
      CONVERT_YOURSELF,
    )
  }
}

function refuseCompressionLie(header: Qcow2Header): void {
  const announced = header.incompatible.includes('compression')
  if (header.compressionType > 1 || announced !== (header.compressionType !== 0)) {
    throw refused(
      `The file's compression (type ${header.compressionType}) is unknown or contradicts its feature bits.`,
      CONVERT_YOURSELF,
    )
  }
}

/** Allow-list: only the table of feature names, which is text for people. */
function refuseExtensions(extensions: Qcow2Extension[]): void {
  const foreign = extensions.find((extension) => extension.name !== 'feature-names')
  if (!foreign) return
  const name = foreign.name === 'unknown' ? `an unknown extension (0x${foreign.type.toString(16)})` : foreign.name
  throw refused(
    `The file's header holds ${name}: it can name other files or change how the disk is read, and a base image has no use for it.`,
    CONVERT_YOURSELF,
    { found: foreign.name },
  )
}

function refuseSize(header: Qcow2Header, limits: ImageLimits): void {
  if (header.virtualSizeBytes === 0) {
    throw refused('The file describes a disk of 0 bytes.', 'Give the disk of an installed system.')
  }
  if (header.virtualSizeBytes > limits.maxVirtualBytes) {
    throw refused(
      `The file describes a disk of ${formatBytes(header.virtualSizeBytes)}; the largest allowed is ${formatBytes(limits.maxVirtualBytes)}. A small file can claim any size and fill this server when it is read.`,
      'Shrink the disk on your own machine with `qemu-img resize --shrink`, then give it again.',
      { found: 'size bomb', maximumBytes: limits.maxVirtualBytes },
    )
  }
}
