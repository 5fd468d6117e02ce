import { Textarea, TextInput } from '@mantine/core'
import { IconWand } from '@tabler/icons-react'
import { useCurrentUser } from '../../api/current-user.js'
import { IconAction } from '../../components/ActionButton.js'
import { generatePassword } from '../../util/suggest.js'
import classes from './CreateNodeForm.module.css'

export interface Guest {
  user: string
  password: string
  sshKey: string
}

interface Props {
  guest: Guest
  problems: Record<string, string>
  onChange: (guest: Guest) => void
}

/** The account inside the guest, made on its first boot. Has nothing to do with SandLabX accounts. */
export function GuestFields({ guest, problems, onChange }: Props) {
  const { login } = useCurrentUser()
  return (
    <fieldset className={classes['guest']}>
      <legend>Account inside the guest</legend>
      <div className={classes['pair']}>
        <TextInput
          label="User"
          placeholder={login.replaceAll('.', '-')}
          value={guest.user}
          spellCheck={false}
          autoCapitalize="none"
          autoComplete="off"
          error={problems['guestUser']}
          onChange={(event) => onChange({ ...guest, user: event.currentTarget.value })}
        />
        <TextInput
          label="Password"
          placeholder="generated, shown once"
          className={classes['password'] ?? ''}
          value={guest.password}
          spellCheck={false}
          autoCapitalize="none"
          autoComplete="off"
          error={problems['guestPassword']}
          onChange={(event) => onChange({ ...guest, password: event.currentTarget.value })}
          rightSection={
            <IconAction
              label="Generate a password"
              size={24}
              onClick={() => onChange({ ...guest, password: generatePassword() })}
            >
              <IconWand size={14} />
            </IconAction>
          }
        />
      </div>
      <Textarea
        label="SSH public key"
        placeholder="ssh-ed25519 AAAA… (optional)"
        autosize={false}
        rows={2}
        value={guest.sshKey}
        spellCheck={false}
        error={problems['sshKeys.0'] ?? problems['sshKeys']}
        onChange={(event) => onChange({ ...guest, sshKey: event.currentTarget.value })}
      />
    </fieldset>
  )
}
