/** Search parameters are plain strings, so that an address can be read and typed: `?q=web&status=running`. */
export function parseSearch(search: string): Record<string, string> {
  return Object.fromEntries(new URLSearchParams(search))
}

export function stringifySearch(search: Record<string, unknown>): string {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(search)) {
    if (typeof value === 'string' && value !== '') parameters.set(name, value)
  }
  const text = parameters.toString().replaceAll('%2C', ',').replaceAll('%3A', ':')
  return text ? `?${text}` : ''
}

/** `a,b` → the items that are among the allowed ones. */
export function readList<const T extends string>(value: unknown, allowed: readonly T[]): T[] {
  if (typeof value !== 'string') return []
  const items = new Set(value.split(','))
  return allowed.filter((item) => items.has(item))
}

export function readOne<const T extends string>(value: unknown, allowed: readonly T[]): T | undefined {
  return allowed.find((item) => item === value)
}

export function readText(value: unknown, maximumLength = 200): string | undefined {
  return typeof value === 'string' && value !== '' ? value.slice(0, maximumLength) : undefined
}

/** Leaves out what is undefined, so that the address holds only what was said. */
export function said<T extends Record<string, unknown>>(search: T): { [K in keyof T]?: T[K] } {
  return Object.fromEntries(Object.entries(search).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: T[K] // the same entries, fewer of them
  }
}
