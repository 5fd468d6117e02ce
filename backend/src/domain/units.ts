export const KIB = 1024
export const MIB = 1024 * KIB
export const GIB = 1024 * MIB

/** `1610612736` → `1.5 GiB`; one decimal from KiB upwards, as the page shows sizes. */
export function formatBytes(bytes: number): string {
  for (const [unit, size] of [
    ['TiB', 1024 * GIB],
    ['GiB', GIB],
    ['MiB', MIB],
    ['KiB', KIB],
  ] as const) {
    if (bytes >= size) return `${(bytes / size).toFixed(1)} ${unit}`
  }
  return `${bytes} B`
}

const FACTORS: Record<string, number> = { '': 1, B: 1, K: KIB, M: MIB, G: GIB, T: 1024 * GIB }

/** Reads `10G`, `512MiB`, `1.5 GiB` or plain bytes, all powers of 1024. Returns undefined for anything else. */
export function parseBytes(text: string): number | undefined {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\s*$/i.exec(text)
  if (!match) return undefined
  const factor = FACTORS[(match[2] ?? '').toUpperCase()]
  return factor === undefined ? undefined : Math.round(Number(match[1]) * factor)
}

/** `93` → `93 ms`, `2200` → `2.2 s`, `190000` → `3 min`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`
  if (milliseconds < 100_000) return `${(milliseconds / 1000).toFixed(1)} s`
  if (milliseconds < 6_000_000) return `${Math.round(milliseconds / 60_000)} min`
  return `${Math.round(milliseconds / 3_600_000)} h`
}
