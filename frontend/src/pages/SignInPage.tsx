import { Button, PasswordInput, TextInput } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import { useSignIn } from '../api/session.js'
import { ErrorNotice } from '../components/ErrorNotice.js'
import { useDocumentTitle } from '../components/PageHeader.js'
import { useFocusOnMount } from '../util/use-focus-on-mount.js'
import { Logo } from '../shell/Logo.js'
import { Layers } from './Layers.js'
import classes from './SignInPage.module.css'

/** The door. Where one wanted to go stays in the address. */
export function SignInPage() {
  useDocumentTitle('Sign in')
  const signIn = useSignIn()
  const loginField = useFocusOnMount<HTMLInputElement>()
  const [login, setLogin] = useState('')
  const [password, setPassword] = useState('')

  const submit = (event: FormEvent) => {
    event.preventDefault()
    signIn.mutate({ login: login.trim(), password })
  }

  return (
    <div className={classes['page']}>
      <main className={classes['form']}>
        <div className={classes['brand']}>
          <Logo size={28} />
          <span>SandLabX</span>
        </div>
        <h1>Sign in</h1>
        <p className={classes['lead']}>Your machines are as you left them.</p>
        <form onSubmit={submit} className={classes['fields']}>
          <TextInput
            label="Login"
            name="username"
            autoComplete="username"
            autoCapitalize="none"
            spellCheck={false}
            ref={loginField}
            required
            withAsterisk={false}
            size="md"
            value={login}
            onChange={(event) => setLogin(event.currentTarget.value)}
          />
          <PasswordInput
            label="Password"
            name="password"
            autoComplete="current-password"
            required
            withAsterisk={false}
            size="md"
            value={password}
            onChange={(event) => setPassword(event.currentTarget.value)}
            visibilityToggleButtonProps={{ 'aria-label': 'Show or hide the password', tabIndex: 0 }}
          />
          {signIn.isError && <ErrorNotice what="You are not signed in" error={signIn.error} />}
          <Button type="submit" size="md" fullWidth loading={signIn.isPending}>
            Sign in
          </Button>
        </form>
        <dl className={classes['hints']}>
          <dt>First time on this server?</dt>
          <dd>
            <code>./sandlabx up</code> printed the first administrator’s login and generated password in the terminal
            where it ran.
          </dd>
          <dt>No login yet?</dt>
          <dd>Your instructor or administrator creates it and gives you a first password.</dd>
        </dl>
      </main>
      <aside className={classes['scene']} aria-hidden="true">
        <Layers />
      </aside>
    </div>
  )
}
