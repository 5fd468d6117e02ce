import '@xterm/xterm/css/xterm.css'
import { TextInput } from '@mantine/core'
import { useDeferredValue, useEffect, useMemo, useState } from 'react'
import { consoleFont, createTerminal } from '../consoles/terminal.js'
import { consoleSettings } from '../consoles/settings.js'
import { type Cast, type Found, searchCast } from './cast.js'
import { clockWords, type Playback } from './playback.js'
import classes from './Player.module.css'
import { PlayerBar } from './PlayerBar.js'
import { createTextPlayback } from './text-playback.js'

/** A recorded terminal, with a search in what it showed. */
export function TextPlayer({ cast }: { cast: Cast }) {
  const [host, setHost] = useState<HTMLElement | null>(null)
  const [playback, setPlayback] = useState<Playback>()
  const [speed, setSpeed] = useState(1)
  const [, redraw] = useState(0)

  useEffect(() => {
    let gone = false
    let end = (): void => undefined
    async function make(element: HTMLElement): Promise<void> {
      await consoleFont()
      if (gone) return
      const { xterm, dispose } = createTerminal(element, consoleSettings())
      xterm.options.disableStdin = true // nobody is there who could read it
      const made = createTextPlayback(cast, xterm, () => redraw((count) => count + 1))
      setPlayback(made)
      end = () => {
        made.dispose()
        dispose()
      }
    }
    if (host) void make(host)
    return () => {
      gone = true
      end()
      setPlayback(undefined)
    }
  }, [host, cast])

  const marks = useMemo(
    () => cast.events.flatMap((event) => (event.code === 'm' ? [{ at: event.at, word: event.data }] : [])),
    [cast],
  )
  return (
    <div className={classes['player']}>
      <div className={classes['stage']}>
        <div ref={setHost} className={classes['terminal']} data-testid="replay" />
      </div>
      {playback && (
        <PlayerBar
          playback={playback}
          speed={speed}
          marks={marks}
          onSpeed={(next) => {
            setSpeed(next)
            playback.setSpeed(next)
          }}
        />
      )}
      <Search cast={cast} onPick={({ at }) => playback?.seek(at)} />
    </div>
  )
}

function Search({ cast, onPick }: { cast: Cast; onPick: (place: Found) => void }) {
  const [text, setText] = useState('')
  const wanted = useDeferredValue(text)
  const found = useMemo(() => searchCast(cast, wanted), [cast, wanted])
  return (
    <search className={classes['search']}>
      <TextInput
        className={classes['field'] ?? ''}
        label="Find in what was shown"
        placeholder="A command, an answer, an error"
        spellCheck={false}
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
      />
      {wanted !== '' && <output className={classes['count']}>{countWords(found.length)}</output>}
      {found.length > 0 && (
        <ul className={classes['found']} aria-label="Found">
          {found.map((place, index) => (
            // oxlint-disable-next-line react/no-array-index-key -- two places may be alike in everything
            <li key={index}>
              <button type="button" className={classes['place']} onClick={() => onPick(place)}>
                <span>{clockWords(place.at)}</span>
                <span className={classes['line']}>
                  {place.line.slice(0, place.from)}
                  <mark>{place.line.slice(place.from, place.to)}</mark>
                  {place.line.slice(place.to)}
                </span>
              </button>
            </li>
          ))}
        </ul>
      )}
    </search>
  )
}

function countWords(count: number): string {
  if (count === 0) return 'It was not shown.'
  if (count >= 500) return 'The first 500 places'
  return count === 1 ? '1 place' : `${count} places`
}
