import { type RefObject, useEffect, useState } from 'react'

/** Chromium lends all keys to a page in full screen; others keep Esc and their own chords. */
interface KeyboardLock {
  lock?: () => Promise<void>
  unlock?: () => void
}

export interface FullScreen {
  isFull: boolean
  /** Esc reaches the guest; holding it leaves. Else Esc leaves at once. */
  hasKeys: boolean
  /** Why not, or null. */
  refusal: string | null
  toggle: () => void
}

export function useFullScreen(element: RefObject<HTMLElement | null>): FullScreen {
  const [isFull, setFull] = useState(false)
  const [hasKeys, setKeys] = useState(false)

  useEffect(() => {
    const onChange = () => {
      const full = element.current !== null && document.fullscreenElement === element.current
      setFull(full)
      if (!full) keyboard()?.unlock?.()
      if (!full) setKeys(false)
    }
    document.addEventListener('fullscreenchange', onChange)
    return () => document.removeEventListener('fullscreenchange', onChange)
  }, [element])

  async function toggle(): Promise<void> {
    if (document.fullscreenElement) return document.exitFullscreen()
    await element.current?.requestFullscreen({ navigationUI: 'hide' })
    const locked = await keyboard()
      ?.lock?.()
      .then(
        () => true,
        () => false,
      )
    setKeys(locked === true)
  }

  return {
    isFull,
    hasKeys,
    refusal: document.fullscreenEnabled ? null : 'This browser does not let the page be full screen.',
    toggle: () => void toggle().catch(() => undefined), // the browser refused; the bar stays as it is
  }
}

function keyboard(): KeyboardLock | undefined {
  return (navigator as Navigator & { keyboard?: KeyboardLock }).keyboard // not yet in TypeScript's DOM
}
