import type { ReactNode } from 'react'
import classes from './RadioCards.module.css'

interface Props<T extends string> {
  legend: string
  name: string
  value: T
  options: readonly { value: T; title: ReactNode; text: ReactNode }[]
  /** Side by side where there is room. */
  wide?: boolean
  onChange: (value: T) => void
}

/** A choice of a few that need a sentence each. */
export function RadioCards<T extends string>({ legend, name, value, options, wide = false, onChange }: Props<T>) {
  return (
    <fieldset className={classes['cards']}>
      <legend>{legend}</legend>
      <div className={classes['list']} data-wide={wide || undefined}>
        {options.map((option) => (
          <label key={option.value} className={classes['card']} data-chosen={option.value === value || undefined}>
            <input
              type="radio"
              name={name}
              value={option.value}
              checked={option.value === value}
              onChange={() => onChange(option.value)}
            />
            <span className={classes['title']}>{option.title}</span>
            <span className={classes['text']}>{option.text}</span>
          </label>
        ))}
      </div>
    </fieldset>
  )
}
