import { useDeferredValue, useState } from 'react'

/** About what a screen holds: seen at once, and the rest follows without being waited for. */
const FIRST = 20

/** How much of a long list is shown: `now`, and `limit` a moment later. */
export function useShown(page: number): { now: number; limit: number; more: () => void } {
  const [limit, setLimit] = useState(page)
  return { now: useDeferredValue(limit, FIRST), limit, more: () => setLimit(limit + page) }
}
