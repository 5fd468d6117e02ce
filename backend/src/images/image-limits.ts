import { GIB, KIB, MIB } from '../domain/units.js'

/** What a file may ask of us on its way to a base image. Bytes unless said otherwise. */
export interface ImageLimits {
  /** Largest file that is looked at. */
  maxFileBytes: number
  /** Largest disk that a file may describe. */
  maxVirtualBytes: number
  /** Largest kernel or initial RAM disk of an image with direct boot. */
  maxBootFileBytes: number
  /** Address space of `qemu-img`; at 1 GiB one conversion in a hundred found no room for its threads' stacks. */
  converterMemoryBytes: number
  /** Processor seconds of `qemu-img`: these, and `cpuSecondsPerGib` for each GiB of the file. */
  cpuSeconds: number
  cpuSecondsPerGib: number
}

export const DEFAULT_LIMITS: ImageLimits = {
  maxFileBytes: 256 * GIB,
  maxVirtualBytes: 1024 * GIB,
  maxBootFileBytes: 512 * MIB,
  converterMemoryBytes: 2 * GIB,
  cpuSeconds: 120,
  cpuSecondsPerGib: 240,
}

/**
 * The largest file that `qemu-img convert -c` may write from a file of `sourceBytes`. Recompression changes a size by
 * some per cent, so twice the source is generous, and a small file that claims much data is stopped early.
 */
export function maxConvertedBytes(sourceBytes: number): number {
  return 2 * sourceBytes + 64 * MIB
}

/** Processor seconds for converting a file of `sourceBytes`. */
export function maxCpuSeconds(limits: ImageLimits, sourceBytes: number): number {
  return Math.ceil(limits.cpuSeconds + (limits.cpuSecondsPerGib * sourceBytes) / GIB)
}

/** A compressed file may unpack to this much: disks are mostly zeros, which compress about a thousand times. */
export const MAX_EXPANSION = 1100

export const SECTOR_BYTES = 512
/** Enough for every magic number at the start of a file; the ISO 9660 one lies at 32 KiB. */
export const HEAD_BYTES = 64 * KIB + 4 * KIB
