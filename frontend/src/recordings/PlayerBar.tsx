import { ActionIcon, Select, Slider } from '@mantine/core'
import { IconPlayerPauseFilled, IconPlayerPlayFilled } from '@tabler/icons-react'
import { clockWords, type Playback, SPEEDS } from './playback.js'
import classes from './Player.module.css'

interface Props {
  playback: Playback
  speed: number
  onSpeed: (speed: number) => void
  /** Moments that are worth a look, with a word each. */
  marks: readonly { at: number; word: string }[]
}

const CHOICES = SPEEDS.map((speed) => ({ value: String(speed), label: `${speed} ×` }))

/** Play and pause, where one is, and how fast. */
export function PlayerBar({ playback, speed, onSpeed, marks }: Props) {
  const { durationSeconds, position, isPlaying } = playback
  return (
    <div className={classes['bar']} role="toolbar" aria-label="Player">
      <ActionIcon
        size={34}
        aria-label={isPlaying ? 'Pause' : 'Play'}
        onClick={() => (isPlaying ? playback.pause() : playback.play())}
      >
        {isPlaying ? <IconPlayerPauseFilled size={16} /> : <IconPlayerPlayFilled size={16} />}
      </ActionIcon>
      <span className={classes['time']}>{clockWords(position)}</span>
      <Slider
        className={classes['slider'] ?? ''}
        thumbLabel="Moment"
        min={0}
        max={Math.max(durationSeconds, 0.1)}
        step={0.1}
        value={Math.min(position, durationSeconds)}
        label={clockWords}
        marks={marks.map(({ at }) => ({ value: at }))}
        onChange={(seconds) => playback.seek(seconds)}
      />
      <span className={classes['time']}>{clockWords(durationSeconds)}</span>
      <Select
        className={classes['speed'] ?? ''}
        aria-label="Speed"
        size="xs"
        data={CHOICES}
        value={String(speed)}
        allowDeselect={false}
        onChange={(value) => onSpeed(Number(value ?? 1))}
      />
    </div>
  )
}
