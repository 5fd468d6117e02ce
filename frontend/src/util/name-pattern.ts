const NUMBER = /\{n{1,4}\}/g
const MAXIMUM = 63

export function hasNumber(pattern: string): boolean {
  return pattern.search(NUMBER) >= 0
}

/** The same name for several: `web` → `web-{n}`; and for one again: `web-{n}` → `web-1`. */
export function nameForCount(name: string, count: number): string {
  if (count > 1) return hasNumber(name) ? name : `${name.replace(/-\d+$/, '')}-{n}`
  return name.replaceAll(NUMBER, (place) => '1'.padStart(place.length - 2, '0'))
}

/** The next free name in a row: `web-07` → `web-08`, `db` → `db-2`. */
export function nextName(name: string, taken: ReadonlySet<string>): string {
  const [, stem = name, digits = ''] = /^(.*)-(\d{1,4})$/.exec(name) ?? []
  for (let number = Number(digits || 1) + 1; ; number += 1) {
    const end = `-${String(number).padStart(digits.length, '0')}`
    const next = `${stem.slice(0, MAXIMUM - end.length)}${end}`
    if (!taken.has(next)) return next
  }
}
