import { useEffect } from 'react'

/** Ctrl+W deletes a word in a shell and closes a tab in a browser: asks before it does the latter. */
export function useBeforeUnload(guarded: boolean): void {
  useEffect(() => {
    if (!guarded) return undefined
    const ask = (event: BeforeUnloadEvent) => event.preventDefault()
    addEventListener('beforeunload', ask)
    return () => removeEventListener('beforeunload', ask)
  }, [guarded])
}
