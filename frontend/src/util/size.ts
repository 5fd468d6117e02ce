import { GIB, MIB } from '@domain/units.js'

/** Sizes as the page shows them: GiB with one decimal; below a tenth of it in MiB, so that nothing reads 0.0. */
export function formatSize(bytes: number): string {
  if (bytes >= GIB / 10) return `${(bytes / GIB).toFixed(1)} GiB`
  if (bytes >= MIB) return `${(bytes / MIB).toFixed(1).replace('.0', '')} MiB`
  if (bytes >= 1024) return `${Math.round(bytes / 1024)} KiB`
  return `${bytes} B`
}

/** Memory is given in MiB: whole MiB below 1 GiB, else GiB with one decimal. */
export function formatMemory(mib: number): string {
  return mib < 1024 ? `${mib} MiB` : `${(mib / 1024).toFixed(1)} GiB`
}
