/* oxlint-disable unicorn/prefer-add-event-listener -- Guacamole's objects are no event targets: one handler each is what they have */
import Guacamole from 'guacamole-common-js'
import type { Playback } from './playback.js'
import { recordedTunnel } from './recorded-tunnel.js'

const TICK_MS = 100

export interface ScreenPlayback extends Playback {
  /** The whole recording is known; before, it can be played as far as it is. */
  readonly isLoaded: boolean
}

/** Guacamole's own player in `host`, scaled to its width. Speeds other than 1 are many small steps forward. */
export function createScreenPlayback(
  recorded: Blob,
  host: HTMLElement,
  handlers: { onChange: () => void; onError: (message: string) => void },
): ScreenPlayback {
  const onDamaged = (error: unknown) => handlers.onError(error instanceof Error ? error.message : String(error))
  const recording = new Guacamole.SessionRecording(recordedTunnel(recorded, onDamaged), 250)
  const display = recording.getDisplay()
  let speed = 1
  let timer: number | undefined
  let lastTick = 0
  let position = 0
  let isSeeking = false
  let isLoaded = false

  const duration = () => recording.getDuration()
  const scale = () => {
    const width = display.getWidth()
    if (width > 0 && host.clientWidth > 0) display.scale(Math.min(1, host.clientWidth / width))
  }
  display.onresize = scale
  const resized = new ResizeObserver(scale)
  resized.observe(host)
  host.replaceChildren(display.getElement())
  recording.onprogress = handlers.onChange
  recording.onload = () => {
    isLoaded = true
    if (!isSeeking && position === 0) seek(0)
    handlers.onChange()
  }
  recording.onerror = handlers.onError
  recording.connect()

  function seek(seconds: number): void {
    position = Math.min(Math.max(0, seconds * 1000), duration())
    isSeeking = true
    recording.seek(position, () => {
      isSeeking = false
      handlers.onChange()
    })
  }

  function tick(): void {
    const now = performance.now()
    const step = (now - lastTick) * speed
    lastTick = now
    if (isSeeking) return // the machine is slower than the speed: what is drawn is still whole
    if (position >= duration() && isLoaded) return pause()
    seek((position + step) / 1000)
  }

  function pause(): void {
    window.clearInterval(timer)
    timer = undefined
    handlers.onChange()
  }

  return {
    get durationSeconds() {
      return duration() / 1000
    },
    get position() {
      return position / 1000
    },
    get isPlaying() {
      return timer !== undefined
    },
    get isLoaded() {
      return isLoaded
    },
    play() {
      if (timer !== undefined) return
      if (position >= duration()) seek(0)
      lastTick = performance.now()
      timer = window.setInterval(tick, TICK_MS)
      handlers.onChange()
    },
    pause,
    seek,
    setSpeed(factor) {
      speed = factor
      handlers.onChange()
    },
    dispose() {
      window.clearInterval(timer)
      resized.disconnect()
      recording.abort()
      recording.disconnect()
    },
  }
}
