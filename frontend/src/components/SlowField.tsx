import { TextInput, type TextInputProps } from '@mantine/core'
import { useDebouncedCallback } from '@mantine/hooks'
import { useState } from 'react'

interface Props extends Omit<TextInputProps, 'value' | 'onChange'> {
  value: string
  onChange: (value: string) => void
  /** How long a pause in typing counts as having typed it. */
  pauseMs?: number
}

/** A field whose value goes somewhere slower than typing: into the address, to the server. */
export function SlowField({ value, onChange, pauseMs = 150, ...rest }: Props) {
  const [typed, setTyped] = useState(value)
  const [known, setKnown] = useState(value)
  if (value !== known) {
    setKnown(value) // changed from outside: back, a link, Clear
    setTyped(value)
  }
  const tell = useDebouncedCallback(onChange, pauseMs)
  return (
    <TextInput
      {...rest}
      value={typed}
      onChange={(event) => {
        setTyped(event.currentTarget.value)
        tell(event.currentTarget.value)
      }}
    />
  )
}
