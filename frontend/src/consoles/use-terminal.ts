import { useEffect, useState } from 'react'
import { type ConsoleSettings, consoleSettings } from './settings.js'
import { consoleFont, createTerminal, type SerialTerminal } from './terminal.js'

/** An xterm in the element, as large as it and as the person likes it; undefined until its font is there. */
export function useTerminal(host: HTMLElement | null, settings: ConsoleSettings): SerialTerminal | undefined {
  const [terminal, setTerminal] = useState<SerialTerminal>()

  useEffect(() => {
    let made: SerialTerminal | undefined
    let gone = false
    async function make(element: HTMLElement): Promise<void> {
      await consoleFont()
      if (gone) return
      made = createTerminal(element, consoleSettings())
      made.fit()
      setTerminal(made)
    }
    if (host) void make(host)
    return () => {
      gone = true
      made?.dispose()
      setTerminal(undefined)
    }
  }, [host])

  useEffect(() => {
    if (!terminal || !host) return undefined
    let frame = 0
    const observer = new ResizeObserver(() => {
      cancelAnimationFrame(frame)
      frame = requestAnimationFrame(() => terminal.fit())
    })
    observer.observe(host)
    return () => {
      cancelAnimationFrame(frame)
      observer.disconnect()
    }
  }, [terminal, host])

  useEffect(() => {
    terminal?.apply(settings)
    terminal?.fit()
  }, [terminal, settings])

  return terminal
}
