import { useNavigate } from '@tanstack/react-router'
import { useEffect, useEffectEvent, useRef } from 'react'
import { isTyping } from './keys.js'
import { usePlaces } from './places.js'

interface Commands {
  palette: () => void
  keys: () => void
  tasks: () => void
  rail: () => void
}

const CHORD_MS = 1200

/** Keys that work on every page. In a console, and while one types, they belong to what has the focus. */
export function useGlobalKeys(commands: Commands): void {
  const navigate = useNavigate()
  const places = usePlaces()
  const chordAt = useRef(0)

  const onKey = useEffectEvent((event: KeyboardEvent) => {
    if (event.defaultPrevented || inConsole(event.target)) return
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
      event.preventDefault()
      commands.palette()
      return
    }
    if (isTyping(event)) return
    if (event.timeStamp - chordAt.current < CHORD_MS) {
      chordAt.current = 0
      const place = places.find((one) => one.key === event.key)
      if (place) {
        event.preventDefault()
        void navigate({ to: place.to })
      }
      return
    }
    if (event.key === 'g') chordAt.current = event.timeStamp
    else if (event.key === '?') commands.keys()
    else if (event.key === 't') commands.tasks()
    else if (event.key === '[') commands.rail()
    else return
    event.preventDefault()
  })

  useEffect(() => {
    const listener = (event: KeyboardEvent) => onKey(event)
    document.addEventListener('keydown', listener)
    return () => document.removeEventListener('keydown', listener)
  }, [])
}

function inConsole(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest('[data-keys="guest"], .xterm, canvas') !== null
}
