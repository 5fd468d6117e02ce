import { createContext, use } from 'react'

/**
 * Where menus and dialogs of a pane are put: undefined for the page's own place; an element of the pane while it is full
 * screen, because then nothing outside of it is seen.
 */
const OverlayTarget = createContext<HTMLElement | undefined>(undefined)

export const OverlayTargetProvider = OverlayTarget

export function useOverlayTarget(): HTMLElement | undefined {
  return use(OverlayTarget)
}
