/** Something that is played from a beginning to an end. */
export interface Playback {
  readonly durationSeconds: number
  readonly position: number
  readonly isPlaying: boolean
  play: () => void
  pause: () => void
  /** Shows that moment. */
  seek: (seconds: number) => void
  /** 1: as it was. */
  setSpeed: (speed: number) => void
  dispose: () => void
}

export const SPEEDS = [0.5, 1, 2, 4, 8] as const

/** `0:07`, `12:03`, `1:02:03` */
export function clockWords(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds))
  const two = (figure: number) => String(figure).padStart(2, '0')
  const hours = Math.floor(whole / 3600)
  const rest = `${hours > 0 ? two(Math.floor((whole % 3600) / 60)) : Math.floor(whole / 60)}:${two(whole % 60)}`
  return hours > 0 ? `${hours}:${rest}` : rest
}
