import { NumberInput, Slider } from '@mantine/core'
import classes from './SizeField.module.css'

interface Props {
  label: string
  description?: string
  value: number
  minimum: number
  /** The slider's end; larger figures are typed. */
  slideTo: number
  maximum: number
  onChange: (value: number) => void
  error?: string | undefined
  disabled?: boolean
}

/** A small whole number, by sliding or typing. */
export function CountField({
  label,
  description,
  value,
  minimum,
  slideTo,
  maximum,
  onChange,
  error,
  disabled = false,
}: Props) {
  return (
    <div className={classes['field']}>
      <NumberInput
        label={label}
        description={description}
        value={value}
        min={minimum}
        max={maximum}
        allowDecimal={false}
        allowNegative={false}
        clampBehavior="blur"
        error={error}
        disabled={disabled}
        onChange={(next) => {
          if (typeof next === 'number') onChange(next)
        }}
      />
      <Slider
        className={classes['slider'] ?? ''}
        min={minimum}
        max={slideTo}
        value={Math.min(value, slideTo)}
        disabled={disabled}
        label={null}
        size={4}
        thumbSize={16}
        thumbLabel={`${label}, slider`}
        onChange={onChange}
      />
    </div>
  )
}
