import { useCallback, useState } from 'react'

/** A choice of this browser that outlives a reload. Where storage is forbidden it lasts as long as the page. */
export function useStoredFlag(name: string): [boolean, () => void, (value: boolean) => void] {
  const key = `sandlabx-${name}`
  const [value, setValue] = useState(() => read(key))
  const set = useCallback(
    (next: boolean) => {
      setValue(next)
      write(key, next)
    },
    [key],
  )
  return [value, () => set(!value), set]
}

function read(key: string): boolean {
  try {
    return localStorage.getItem(key) === 'yes'
  } catch {
    return false
  }
}

function write(key: string, value: boolean): void {
  try {
    localStorage.setItem(key, value ? 'yes' : 'no')
  } catch {
    // Forbidden storage: the choice holds until the page is closed.
  }
}
