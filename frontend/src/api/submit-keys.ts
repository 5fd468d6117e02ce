const KEPT_MS = 10 * 60_000
const KEPT = 50

/** Submits whose outcome this page does not know yet, oldest first: what was asked → the key it went out with. */
const open = new Map<string, { key: string; at: number }>()

/**
 * The Idempotency-Key of a submit. The same request sent again before an answer came, by a double click or after the
 * network went away, carries the same key: the server does it once. After an answer the next one is a new wish.
 */
export function keyOfSubmit(what: string, now = Date.now()): string {
  for (const [name, { at }] of open) if (now - at > KEPT_MS || open.size > KEPT) open.delete(name)
  const known = open.get(what)
  if (known) return known.key
  const key = freshKey()
  open.set(what, { key, at: now })
  return key
}

export function submitAnswered(what: string): void {
  open.delete(what)
}

/** As a UUID, which browsers make only on secure addresses. */
function freshKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}
