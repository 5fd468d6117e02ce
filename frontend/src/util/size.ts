import { GIB, MIB } from '@domain/units.js'

/** Sizes as the page shows them: GiB with one decimal; below a tenth of it in MiB, so that nothing reads 0.0. */
export function formatSize(bytes: number): string {
  if (bytes >= GIB / 10) return `${(bytes / GIB).toFixed(1)} GiB`
  if (bytes >= MIB) return `${(bytes / MIB).toFixed(1).replace('.0', '')} MiB`
  if (bytes >= 1024) return `${Math.round(bytes / 1024)} KiB`
  return `${bytes} B`
}

/** A size to be typed and read back without loss: `1.5 GiB`, `256 MiB`. */
export function formatExactSize(bytes: number): string {
  return bytes >= GIB && (bytes * 10) % GIB === 0 ? `${(bytes / GIB).toFixed(1)} GiB` : `${Math.ceil(bytes / MIB)} MiB`
}

/** Memory is given in MiB: whole MiB below 1 GiB, else GiB with one decimal. */
export function formatMemory(mib: number): string {
  return mib < 1024 ? `${mib} MiB` : `${(mib / 1024).toFixed(1)} GiB`
}
