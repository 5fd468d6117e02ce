import { IconArrowDown, IconArrowUp, IconX } from '@tabler/icons-react'
import { type KeyboardEvent, useEffect, useRef, useState } from 'react'
import { BarButton } from './BarButton.js'
import classes from './SerialConsole.module.css'
import { SEARCH_MARKS, type SerialTerminal } from './terminal.js'

interface Props {
  terminal: SerialTerminal
  onClose: () => void
}

/** Finds in the scrollback: Enter the next one upwards, Shift+Enter downwards, Esc closes. */
export function SerialSearch({ terminal, onClose }: Props) {
  const { search, xterm } = terminal
  const field = useRef<HTMLInputElement>(null)
  const [text, setText] = useState('')
  const [found, setFound] = useState<{ index: number; count: number }>()

  useEffect(() => {
    field.current?.focus()
    const results = search.onDidChangeResults(({ resultIndex, resultCount }) =>
      setFound({ index: resultIndex, count: resultCount }),
    )
    return () => {
      results.dispose()
      search.clearDecorations()
      xterm.focus()
    }
  }, [search, xterm])

  const options = { decorations: SEARCH_MARKS }
  const older = () => search.findPrevious(text, options)
  const newer = () => search.findNext(text, options)

  function onKeyDown(event: KeyboardEvent): void {
    if (event.key === 'Escape') onClose()
    else if (event.key !== 'Enter') return
    else if (event.shiftKey) newer()
    else older()
    event.preventDefault()
    event.stopPropagation()
  }

  return (
    <search className={classes['search']}>
      <input
        ref={field}
        className={classes['field']}
        type="text"
        aria-label="Find in the console"
        placeholder="Find"
        spellCheck={false}
        value={text}
        onKeyDown={onKeyDown}
        onChange={({ target }) => {
          setText(target.value)
          if (target.value === '') search.clearDecorations()
          else search.findPrevious(target.value, { ...options, incremental: true })
        }}
      />
      <output className={classes['count']}>{text === '' ? '' : countText(found)}</output>
      <BarButton label="Older (Enter)" onClick={older}>
        <IconArrowUp size={14} />
      </BarButton>
      <BarButton label="Newer (Shift+Enter)" onClick={newer}>
        <IconArrowDown size={14} />
      </BarButton>
      <BarButton label="Close (Esc)" onClick={onClose}>
        <IconX size={14} />
      </BarButton>
    </search>
  )
}

function countText(found: { index: number; count: number } | undefined): string {
  if (!found || found.count === 0) return 'none'
  return found.index < 0 ? `${found.count}+` : `${found.index + 1} of ${found.count}`
}
