import type { WantedEngine } from '@domain/console.js'
import { WANTED_ENGINES } from '@domain/console-codes.js'
import { useSyncExternalStore } from 'react'

/** How this person likes consoles; kept in this browser. */
export interface ConsoleSettings {
  /** Pixels. */
  fontSize: number
  screenReader: boolean
  /** The screen fills its pane; else one guest pixel is one pixel. */
  fitScreen: boolean
  /** What shall bring screens. */
  engine: WantedEngine
}

export const FONT_SIZES = { min: 9, max: 28, usual: 13 } as const
const KEY = 'sandlabx.consoles'
const USUAL: ConsoleSettings = { fontSize: FONT_SIZES.usual, screenReader: false, fitScreen: true, engine: 'auto' }

const listeners = new Set<() => void>()
let current: ConsoleSettings | undefined

export function consoleSettings(): ConsoleSettings {
  current ??= read()
  return current
}

export function changeConsoleSettings(change: Partial<ConsoleSettings>): void {
  current = valid({ ...consoleSettings(), ...change })
  try {
    localStorage.setItem(KEY, JSON.stringify(current))
  } catch {
    // Storage is full or forbidden: the setting holds until the page is left.
  }
  for (const listener of listeners) listener()
}

export function useConsoleSettings(): ConsoleSettings {
  return useSyncExternalStore(subscribe, consoleSettings)
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

function read(): ConsoleSettings {
  try {
    return valid(JSON.parse(localStorage.getItem(KEY) ?? 'null'))
  } catch {
    return USUAL
  }
}

function valid(kept: unknown): ConsoleSettings {
  const { fontSize, screenReader, fitScreen, engine } = {
    ...USUAL,
    ...(kept as Record<keyof ConsoleSettings, unknown> | null),
  }
  return {
    fontSize: Math.round(Math.min(FONT_SIZES.max, Math.max(FONT_SIZES.min, Number(fontSize) || USUAL.fontSize))),
    screenReader: screenReader === true,
    fitScreen: fitScreen !== false,
    engine: WANTED_ENGINES.find((one) => one === engine) ?? USUAL.engine,
  }
}
