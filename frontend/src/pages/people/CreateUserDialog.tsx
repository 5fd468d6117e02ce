import { createUserSchema, type Role } from '@domain/user.js'
import { Button, TextInput } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import { useCreateUser } from '../../api/users.js'
import dialog from '../../components/Dialog.module.css'
import { ErrorNotice } from '../../components/ErrorNotice.js'
import { SecretOnce } from '../../components/SecretOnce.js'
import { problemsOf } from '../../util/validate.js'
import classes from './People.module.css'
import { RolePicker } from './RolePicker.js'
import { Dialog } from '../../components/Dialog.js'

/** A new account; its first password is generated, shown once, and changed at the first sign-in. */
export function CreateUserDialog({ onClose }: { onClose: () => void }) {
  const create = useCreateUser()
  const [login, setLogin] = useState('')
  const [displayName, setDisplayName] = useState('')
  const [role, setRole] = useState<Role>('student')
  const [problems, setProblems] = useState<Record<string, string>>({})

  const submit = (event: FormEvent) => {
    event.preventDefault()
    const user = { login, displayName, role }
    const found = problemsOf(createUserSchema, user)
    setProblems(found)
    if (Object.keys(found).length === 0) create.mutate(user)
  }
  const again = () => {
    create.reset()
    setLogin('')
    setDisplayName('')
  }

  if (create.data) {
    const { user, password } = create.data
    return (
      <Dialog onClose={onClose} title={`${user.login} can sign in`} easyToClose={false}>
        <div className={dialog['body']}>
          {password && (
            <>
              <p>
                Give this first password to {user.login}. It is shown this once and must be changed at the first
                sign-in.
              </p>
              <SecretOnce label="First password" secret={password} />
            </>
          )}
          <div className={dialog['actions']}>
            <Button variant="default" size="sm" onClick={again}>
              Create another
            </Button>
            <Button size="sm" onClick={onClose}>
              I have noted it
            </Button>
          </div>
        </div>
      </Dialog>
    )
  }
  return (
    <Dialog onClose={onClose} title="New account">
      <form onSubmit={submit} className={classes['form']} noValidate>
        <TextInput
          label="Login"
          description="What the person types to sign in"
          value={login}
          data-autofocus
          spellCheck={false}
          autoCapitalize="none"
          autoComplete="off"
          error={problems['login']}
          onChange={(event) => setLogin(event.currentTarget.value)}
        />
        <TextInput
          label="Name"
          description="Shown beside the login; may stay empty"
          value={displayName}
          autoComplete="off"
          error={problems['displayName']}
          onChange={(event) => setDisplayName(event.currentTarget.value)}
        />
        <RolePicker value={role} onChange={setRole} />
        {create.isError && <ErrorNotice what={`The account ${login} was not created`} error={create.error} />}
        <div className={dialog['actions']}>
          <Button variant="default" size="sm" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" size="sm" loading={create.isPending}>
            Create {login || 'the account'}
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
