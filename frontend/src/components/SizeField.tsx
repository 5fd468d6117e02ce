import { parseBytes } from '@domain/units.js'
import { Slider, TextInput } from '@mantine/core'
import { useState } from 'react'
import { formatExactSize } from '../util/size.js'
import classes from './SizeField.module.css'

interface Props {
  label: string
  description?: string
  bytes: number
  /** The slider's stops, ascending. */
  steps: readonly number[]
  minimum: number
  onChange: (bytes: number) => void
  error?: string | undefined
  disabled?: boolean
}

/** A size, by sliding over round figures or by typing any: `1.5 GiB`, `512M`. */
export function SizeField({ label, description, bytes, steps, minimum, onChange, error, disabled = false }: Props) {
  const [typed, setTyped] = useState<string>()
  const stops = steps.filter((step) => step >= minimum)
  const parsed = typed === undefined ? bytes : parseBytes(/^\s*[\d.]+\s*$/.test(typed) ? `${typed} GiB` : typed)
  const problem =
    parsed === undefined
      ? 'Write a size such as 1.5 GiB or 512 MiB'
      : parsed < minimum
        ? `At least ${formatExactSize(minimum)}`
        : error
  const index = Math.max(
    stops.findLastIndex((stop) => stop <= bytes),
    0,
  )
  return (
    <div className={classes['field']}>
      <TextInput
        label={label}
        description={description}
        value={typed ?? formatExactSize(bytes)}
        error={problem}
        disabled={disabled}
        onChange={(event) => {
          const text = event.currentTarget.value
          setTyped(text)
          const next = parseBytes(/^\s*[\d.]+\s*$/.test(text) ? `${text} GiB` : text)
          if (next !== undefined) onChange(next)
        }}
        onBlur={() => {
          if (parsed !== undefined) setTyped(undefined)
        }}
      />
      {stops.length > 1 && (
        <Slider
          className={classes['slider'] ?? ''}
          min={0}
          max={stops.length - 1}
          value={index}
          disabled={disabled}
          label={null}
          size={4}
          thumbSize={16}
          thumbLabel={`${label}, slider`}
          thumbValueText={(stop) => formatExactSize(stops[stop] ?? 0)}
          onChange={(stop) => {
            setTyped(undefined)
            onChange(stops[stop] ?? bytes)
          }}
        />
      )}
    </div>
  )
}
