import type { Cast } from './cast.js'
import type { Playback } from './playback.js'

/** Where a recorded terminal is drawn; xterm's Terminal is one. */
export interface TextDisplay {
  write: (text: string) => void
  resize: (columns: number, rows: number) => void
}

interface Clock {
  now: () => number
  setInterval: (then: () => void, ms: number) => number
  clearInterval: (timer: number) => void
}

const RESET = '\u001Bc'
const TICK_MS = 40

export function createTextPlayback(
  cast: Cast,
  display: TextDisplay,
  onChange: () => void,
  clock: Clock = {
    now: () => performance.now(),
    setInterval: (then, ms) => window.setInterval(then, ms),
    clearInterval: (timer) => window.clearInterval(timer),
  },
): Playback {
  let position = 0
  /** The first event that is not drawn yet. */
  let next = 0
  let speed = 1
  let timer: number | undefined
  let lastTick = 0

  function clear(): void {
    display.resize(cast.width, cast.height)
    display.write(RESET)
    next = 0
  }

  /** Draws up to `position`, all output between two sizes at once. */
  function draw(): void {
    let text = ''
    for (let event = cast.events[next]; event && event.at <= position; event = cast.events[(next += 1)]) {
      if (event.code === 'o') text += event.data
      if (event.code !== 'r') continue
      if (text !== '') display.write(text)
      text = ''
      display.resize(event.columns, event.rows)
    }
    if (text !== '') display.write(text)
  }

  function tick(): void {
    const now = clock.now()
    position = Math.min(cast.durationSeconds, position + ((now - lastTick) / 1000) * speed)
    lastTick = now
    draw()
    if (position >= cast.durationSeconds) pause()
    else onChange()
  }

  function pause(): void {
    if (timer !== undefined) clock.clearInterval(timer)
    timer = undefined
    onChange()
  }

  function seek(seconds: number): void {
    const wanted = Math.min(Math.max(0, seconds), cast.durationSeconds)
    if (wanted < position) clear()
    position = wanted
    draw()
    onChange()
  }

  clear()
  draw()
  return {
    durationSeconds: cast.durationSeconds,
    get position() {
      return position
    },
    get isPlaying() {
      return timer !== undefined
    },
    play() {
      if (timer !== undefined) return
      if (position >= cast.durationSeconds) seek(0)
      lastTick = clock.now()
      timer = clock.setInterval(tick, TICK_MS)
      onChange()
    },
    pause,
    seek,
    setSpeed(factor) {
      speed = factor
      onChange()
    },
    dispose() {
      if (timer !== undefined) clock.clearInterval(timer)
    },
  }
}
