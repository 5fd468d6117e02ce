import { useEffect, useState } from 'react'
import { ErrorNotice } from '../components/ErrorNotice.js'
import classes from './Player.module.css'
import { PlayerBar } from './PlayerBar.js'
import { createScreenPlayback, type ScreenPlayback } from './screen-playback.js'

/** A recorded screen, played by Guacamole's own player. */
export function ScreenPlayer({ recorded }: { recorded: Blob }) {
  const [host, setHost] = useState<HTMLElement | null>(null)
  const [playback, setPlayback] = useState<ScreenPlayback>()
  const [failure, setFailure] = useState<Error>()
  const [speed, setSpeed] = useState(1)
  const [, redraw] = useState(0)

  useEffect(() => {
    if (!host) return undefined
    let made: ScreenPlayback | undefined
    const begin = requestAnimationFrame(() => {
      made = createScreenPlayback(recorded, host, {
        onChange: () => redraw((count) => count + 1),
        onError: (message) => setFailure(new Error(message)),
      })
      setPlayback(made)
    })
    return () => {
      cancelAnimationFrame(begin)
      made?.dispose()
      setPlayback(undefined)
    }
  }, [host, recorded])

  return (
    <div className={classes['player']}>
      {failure && <ErrorNotice what="The recording can not be played any further" error={failure} />}
      <div className={classes['stage']}>
        <div ref={setHost} className={classes['screen']} data-testid="replay" />
      </div>
      {playback && (
        <PlayerBar
          playback={playback}
          speed={speed}
          marks={[]}
          onSpeed={(next) => {
            setSpeed(next)
            playback.setSpeed(next)
          }}
        />
      )}
    </div>
  )
}
