import { SegmentedControl, useMantineColorScheme } from '@mantine/core'
import { useCurrentUser } from '../api/current-user.js'
import { useSignOut } from '../api/session.js'
import { ActionButton } from '../components/ActionButton.js'
import { PageHeader } from '../components/PageHeader.js'
import { PasswordForm } from '../components/PasswordForm.js'
import { Section } from '../components/Section.js'
import { toastDone, toastError } from '../components/toast.js'
import { Tokens } from './account/Tokens.js'

const ROLE_WORDS = { student: 'Student', instructor: 'Instructor', administrator: 'Administrator' } as const

/** Me: password, tokens, theme, sessions. */
export function AccountPage() {
  const user = useCurrentUser()
  return (
    <div>
      <PageHeader
        title={user.displayName || user.login}
        description={`${ROLE_WORDS[user.role]}, signs in as ${user.login}.`}
      />
      <Section title="Theme" description="Of this browser.">
        <ThemeChoice />
      </Section>
      <Section title="Password" description="Changing it ends every other session of yours.">
        <PasswordForm
          submitLabel="Change the password"
          login={user.login}
          onDone={() => toastDone('Your password is changed')}
        />
      </Section>
      <Section
        title="API tokens"
        description="For the command line and scripts. A token can do what you can do, until you revoke it."
      >
        <Tokens />
      </Section>
      <Section title="Sessions" description="To end sessions elsewhere, change your password.">
        <SignOut />
      </Section>
    </div>
  )
}

function ThemeChoice() {
  const { colorScheme, setColorScheme } = useMantineColorScheme()
  return (
    <div>
      <SegmentedControl
        aria-label="Theme"
        size="sm"
        value={colorScheme}
        onChange={(value) => setColorScheme(value)}
        data={[
          { value: 'auto', label: 'As the system' },
          { value: 'light', label: 'Light' },
          { value: 'dark', label: 'Dark' },
        ]}
      />
    </div>
  )
}

function SignOut() {
  const signOut = useSignOut()
  return (
    <div>
      <ActionButton
        variant="default"
        loading={signOut.isPending}
        onClick={() => signOut.mutate(undefined, { onError: (error) => toastError('Signing out failed', error) })}
      >
        Sign out of this browser
      </ActionButton>
    </div>
  )
}
