import type { Role, User } from '@domain/user.js'
import { Button } from '@mantine/core'
import { useState } from 'react'
import { useResetPassword, useUpdateUser } from '../../api/users.js'
import { ConfirmDialog } from '../../components/ConfirmDialog.js'
import dialogClasses from '../../components/Dialog.module.css'
import { SecretOnce } from '../../components/SecretOnce.js'
import { toastDone } from '../../components/toast.js'
import { RolePicker } from './RolePicker.js'
import { Dialog } from '../../components/Dialog.js'

export interface PersonDialog {
  kind: 'role' | 'password' | 'disabled'
  user: User
}

/** The questions before an account is changed: what goes, what stays. */
export function PersonDialogs({ dialog, onClose }: { dialog: PersonDialog; onClose: () => void }) {
  const props = { user: dialog.user, onClose }
  switch (dialog.kind) {
    case 'role':
      return <RoleDialog {...props} />
    case 'password':
      return <ResetPasswordDialog {...props} />
    default: // disabled
      return <DisableDialog {...props} />
  }
}

interface Props {
  user: User
  onClose: () => void
}

function RoleDialog({ user, onClose }: Props) {
  const update = useUpdateUser()
  const [role, setRole] = useState<Role>(user.role)
  return (
    <ConfirmDialog
      title={`Role of ${user.login}`}
      confirm={`Make ${user.login} ${role === 'student' ? 'a student' : role === 'instructor' ? 'an instructor' : 'an administrator'}`}
      busy={update.isPending}
      failure={update.isError ? { what: 'The role was not changed', error: update.error } : null}
      onConfirm={() =>
        update.mutate(
          { id: user.id, change: { role } },
          {
            onSuccess: () => {
              toastDone(`${user.login} is now ${role}`)
              onClose()
            },
          },
        )
      }
      onClose={onClose}
    >
      <RolePicker value={role} onChange={setRole} />
      <p>Nodes of {user.login} stay. Open consoles close and can be opened again where the new role allows it.</p>
    </ConfirmDialog>
  )
}

function DisableDialog({ user, onClose }: Props) {
  const update = useUpdateUser()
  const verb = user.disabled ? 'Enable' : 'Disable'
  return (
    <ConfirmDialog
      title={`${verb} ${user.login}?`}
      confirm={`${verb} ${user.login}`}
      danger={!user.disabled}
      busy={update.isPending}
      failure={update.isError ? { what: 'The account was not changed', error: update.error } : null}
      onConfirm={() =>
        update.mutate(
          { id: user.id, change: { disabled: !user.disabled } },
          {
            onSuccess: () => {
              toastDone(`${user.login} is ${user.disabled ? 'enabled' : 'disabled'}`)
              onClose()
            },
          },
        )
      }
      onClose={onClose}
    >
      {user.disabled ? (
        <p>{user.login} can sign in again with the password as it was.</p>
      ) : (
        <p>
          {user.login} is signed out everywhere at once, tokens stop working and open consoles close. Nodes and disks
          stay, running nodes go on. You can enable the account again.
        </p>
      )}
    </ConfirmDialog>
  )
}

function ResetPasswordDialog({ user, onClose }: Props) {
  const reset = useResetPassword()
  if (reset.data) {
    return (
      <Dialog onClose={onClose} title={`New password of ${user.login}`} easyToClose={false}>
        <div className={dialogClasses['body']}>
          <p>Give it to {user.login}; it is shown this once. It must be changed at the first sign-in.</p>
          <SecretOnce label="Password" secret={reset.data.password} />
          <div className={dialogClasses['actions']}>
            <Button size="sm" onClick={onClose}>
              I have noted it
            </Button>
          </div>
        </div>
      </Dialog>
    )
  }
  return (
    <ConfirmDialog
      title={`Reset the password of ${user.login}?`}
      confirm="Reset the password"
      busy={reset.isPending}
      failure={reset.isError ? { what: 'The password was not reset', error: reset.error } : null}
      onConfirm={() => reset.mutate(user.id)}
      onClose={onClose}
    >
      <p>
        A new password is generated and shown to you once. The old one stops working, {user.login} is signed out
        everywhere, and open consoles close. Nodes stay as they are.
      </p>
    </ConfirmDialog>
  )
}
