import { GIB, MIB } from '@domain/units.js'

/** The stops of the sliders, in bytes; any other size is typed. */
export const MEMORY_STEPS = [128, 256, 512, 1024, 2048, 4096, 8192, 16_384].map((mib) => mib * MIB)
export const DISK_STEPS = [1, 2, 4, 8, 10, 16, 20, 32, 40, 64, 100].map((gib) => gib * GIB)
