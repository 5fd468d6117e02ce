import { type RefObject, useEffect, useRef } from 'react'

/** Puts the cursor where one is going to type: for pages and fields that appear because one asked for them. */
export function useFocusOnMount<T extends HTMLElement>(): RefObject<T | null> {
  const ref = useRef<T>(null)
  useEffect(() => ref.current?.focus(), [])
  return ref
}
