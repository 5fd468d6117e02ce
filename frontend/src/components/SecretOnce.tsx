import { CopyButton } from './CopyButton.js'
import classes from './SecretOnce.module.css'

/** A secret that is shown this once and is kept nowhere in the clear. */
export function SecretOnce({ label, secret }: { label: string; secret: string }) {
  return (
    <div className={classes['secret']}>
      <span className={classes['label']}>{label}</span>
      <div className={classes['row']}>
        <code className={classes['value']}>{secret}</code>
        <CopyButton text={secret} label={`Copy the ${label.toLowerCase()}`} />
      </div>
    </div>
  )
}
