import { useId, useRef } from 'react'
import classes from './YamlField.module.css'

interface Props {
  label: string
  description?: string
  value: string
  /** What is wrong, and on which line, counted from one. */
  error?: string | undefined
  errorLine?: number | undefined
  onChange: (value: string) => void
}

/** A text of some lines with their numbers; the line that is wrong stands out. */
export function YamlField({ label, description, value, error, errorLine, onChange }: Props) {
  const id = useId()
  const gutter = useRef<HTMLDivElement>(null)
  const lines = value.split('\n').length
  return (
    <div className={classes['field']}>
      <label htmlFor={id}>{label}</label>
      {description && (
        <p id={`${id}-about`} className={classes['about']}>
          {description}
        </p>
      )}
      <div className={classes['editor']} data-wrong={Boolean(error) || undefined}>
        <div ref={gutter} className={classes['gutter']} aria-hidden="true">
          {Array.from({ length: lines }, (_line, index) => (
            <span key={index} data-wrong={index + 1 === errorLine || undefined}>
              {index + 1}
            </span>
          ))}
        </div>
        <textarea
          id={id}
          value={value}
          rows={Math.min(Math.max(lines, 10), 18)}
          wrap="off"
          spellCheck={false}
          autoCapitalize="none"
          autoComplete="off"
          aria-invalid={Boolean(error)}
          aria-describedby={[description && `${id}-about`, error && `${id}-error`].filter(Boolean).join(' ')}
          onScroll={(event) => {
            if (gutter.current) gutter.current.scrollTop = event.currentTarget.scrollTop
          }}
          onChange={(event) => onChange(event.currentTarget.value)}
        />
      </div>
      {error && (
        <p id={`${id}-error`} className={classes['error']} role="alert">
          {errorLine !== undefined && !/\bline \d/i.test(error) && <strong>Line {errorLine}: </strong>}
          {error}
        </p>
      )}
    </div>
  )
}
