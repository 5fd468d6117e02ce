import classes from './ProgressBar.module.css'

interface Props {
  label: string
  /** 0 to 1; null while it can't be known. */
  progress: number | null
  /** What is read out instead of the bare figure. */
  text: string
}

/** How far something is. */
export function ProgressBar({ label, progress, text }: Props) {
  return (
    <progress
      className={classes['bar']}
      aria-label={label}
      aria-valuetext={text}
      max={1}
      {...(progress === null ? {} : { value: progress })}
    />
  )
}
