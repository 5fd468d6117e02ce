import { Button, Textarea } from '@mantine/core'
import { useRef, useState } from 'react'
import { ProgressBar } from '../components/ProgressBar.js'
import { messageOf } from './console-api.js'
import { ConsoleDialog } from './ConsoleDialog.js'
import { typeInPieces, untypable } from './type-text.js'
import classes from './TypeTextDialog.module.css'

interface Props {
  nodeName: string
  type: (piece: string, signal: AbortSignal) => Promise<void>
  onClose: () => void
}

const MAX_LETTERS = 20_000

/** Pastes into a guest that has no clipboard, as key strokes. */
export function TypeTextDialog({ nodeName, type, onClose }: Props) {
  const [text, setText] = useState('')
  const [typed, setTyped] = useState<number>()
  const [failure, setFailure] = useState<string>()
  const typing = useRef<AbortController>(undefined)
  const total = Array.from(text).length
  const odd = untypable(text).slice(0, 8)
  const refusal = odd.length > 0 ? `A US keyboard has no key for ${odd.join(' ')}` : failure

  async function start(): Promise<void> {
    typing.current = new AbortController()
    setFailure(undefined)
    setTyped(0)
    try {
      await typeInPieces(text, type, { signal: typing.current.signal, onProgress: setTyped })
      onClose()
    } catch (error) {
      if (!typing.current.signal.aborted) setFailure(`${messageOf(error)} What was typed before stays typed.`)
      setTyped(undefined)
    }
  }

  function close(): void {
    typing.current?.abort()
    onClose()
  }

  return (
    <ConsoleDialog title={`Type text on ${nodeName}`} easyToClose={false} onClose={close}>
      <Textarea
        label="Text"
        description="It is typed key by key where the guest’s cursor is, as on a US keyboard."
        data-autofocus
        autosize
        minRows={5}
        maxRows={14}
        maxLength={MAX_LETTERS}
        spellCheck={false}
        classNames={{ input: classes['text'] ?? '' }}
        value={text}
        disabled={typed !== undefined}
        error={refusal}
        onChange={({ target: { value } }) => setText(value)}
      />
      <div className={classes['foot']}>
        <output className={classes['progress']}>
          {typed !== undefined && (
            <>
              <ProgressBar label="Typing" progress={total === 0 ? 0 : typed / total} text={`${typed} of ${total}`} />
              <span>
                {typed} of {total} characters
              </span>
            </>
          )}
        </output>
        <Button variant="default" size="sm" onClick={close}>
          {typed === undefined ? 'Cancel' : 'Stop typing'}
        </Button>
        <Button
          size="sm"
          disabled={total === 0 || odd.length > 0}
          loading={typed !== undefined}
          onClick={() => void start()}
        >
          Type {total > 0 && `${total} ${total === 1 ? 'character' : 'characters'}`}
        </Button>
      </div>
    </ConsoleDialog>
  )
}
