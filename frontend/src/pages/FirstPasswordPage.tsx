import type { User } from '@domain/user.js'
import { useSignOut } from '../api/session.js'
import { LinkButton } from '../components/LinkButton.js'
import { useDocumentTitle } from '../components/PageHeader.js'
import { PasswordForm } from '../components/PasswordForm.js'
import { Logo } from '../shell/Logo.js'
import classes from './LonePage.module.css'

/** The first password was chosen by somebody else; nothing else works until it is changed. */
export function FirstPasswordPage({ user }: { user: User }) {
  useDocumentTitle('Choose a password')
  const signOut = useSignOut()
  return (
    <div className={classes['page']}>
      <main className={classes['card']}>
        <Logo size={28} />
        <h1>Choose your own password</h1>
        <p className={classes['lead']}>
          You are signed in as <strong>{user.login}</strong> with a password that somebody else has seen. Replace it,
          then go on.
        </p>
        <PasswordForm submitLabel="Set the password and go on" login={user.login} wide />
        <p className={classes['foot']}>
          <LinkButton onClick={() => signOut.mutate()}>Sign out</LinkButton>
        </p>
      </main>
    </div>
  )
}
