import { Button, PasswordInput } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import { useChangePassword } from '../api/session.js'
import { ErrorNotice } from './ErrorNotice.js'
import classes from './PasswordForm.module.css'

/** The domain's rule; repeated as a number because the first load carries no validator. A test keeps the two in step. */
export const PASSWORD_MINIMUM = 10

interface Props {
  submitLabel: string
  login: string
  /** The button as broad as the fields. */
  wide?: boolean
  onDone?: () => void
}

/** Old password, new password, once more. */
export function PasswordForm({ submitLabel, login, wide = false, onDone }: Props) {
  const change = useChangePassword()
  const [current, setCurrent] = useState('')
  const [next, setNext] = useState('')
  const [again, setAgain] = useState('')
  const [checked, setChecked] = useState(false)
  const short = next.length < PASSWORD_MINIMUM
  const differs = next !== again

  const submit = (event: FormEvent) => {
    event.preventDefault()
    setChecked(true)
    if (short || differs) return
    change.mutate(
      { currentPassword: current, newPassword: next },
      {
        onSuccess: () => {
          setCurrent('')
          setNext('')
          setAgain('')
          setChecked(false)
          onDone?.()
        },
      },
    )
  }

  const visibility = { 'aria-label': 'Show or hide the password', tabIndex: 0 }
  return (
    <form onSubmit={submit} className={classes['form']} data-wide={wide || undefined}>
      <input type="hidden" name="username" autoComplete="username" value={login} readOnly />
      <PasswordInput
        label="Current password"
        autoComplete="current-password"
        required
        withAsterisk={false}
        value={current}
        onChange={(event) => setCurrent(event.currentTarget.value)}
        visibilityToggleButtonProps={visibility}
      />
      <PasswordInput
        label="New password"
        description={`At least ${PASSWORD_MINIMUM} characters. Length is what counts: a sentence does well.`}
        autoComplete="new-password"
        required
        withAsterisk={false}
        value={next}
        onChange={(event) => setNext(event.currentTarget.value)}
        error={checked && short ? `${PASSWORD_MINIMUM - next.length} more characters are needed` : undefined}
        visibilityToggleButtonProps={visibility}
      />
      <PasswordInput
        label="New password, once more"
        autoComplete="new-password"
        required
        withAsterisk={false}
        value={again}
        onChange={(event) => setAgain(event.currentTarget.value)}
        error={checked && differs ? 'The two new passwords differ' : undefined}
        visibilityToggleButtonProps={visibility}
      />
      {change.isError && <ErrorNotice what="The password was not changed" error={change.error} />}
      <p className={classes['note']}>Your other sessions end; this one stays.</p>
      <Button type="submit" loading={change.isPending}>
        {submitLabel}
      </Button>
    </form>
  )
}
