/** `2026-11-21`, then `2026-11-21-2`: the day says most; a better name is typed over it. */
export function suggestSnapshotName(taken: ReadonlySet<string>, now = new Date()): string {
  const pad = (figure: number) => String(figure).padStart(2, '0')
  const day = `${now.getFullYear()}-${pad(now.getMonth() + 1)}-${pad(now.getDate())}`
  if (!taken.has(day)) return day
  let number = 2
  while (taken.has(`${day}-${number}`)) number += 1
  return `${day}-${number}`
}
