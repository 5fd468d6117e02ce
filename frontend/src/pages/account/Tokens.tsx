import { Skeleton, TextInput } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import { type TokenRecord, useCreateToken, useRevokeToken, useTokens } from '../../api/tokens.js'
import { ActionButton } from '../../components/ActionButton.js'
import { ConfirmDialog } from '../../components/ConfirmDialog.js'
import { ErrorNotice } from '../../components/ErrorNotice.js'
import { RelativeTime } from '../../components/RelativeTime.js'
import { SecretOnce } from '../../components/SecretOnce.js'
import classes from './Tokens.module.css'

/** My API tokens: make one, shown once; revoke any. */
export function Tokens() {
  const tokens = useTokens()
  const create = useCreateToken()
  const [name, setName] = useState('')
  const [revoking, setRevoking] = useState<TokenRecord>()

  const submit = (event: FormEvent) => {
    event.preventDefault()
    const trimmed = name.trim()
    if (trimmed) create.mutate(trimmed, { onSuccess: () => setName('') })
  }

  return (
    <>
      <form onSubmit={submit} className={classes['form']}>
        <TextInput
          className={classes['name'] ?? ''}
          aria-label="What the token is for"
          placeholder="What it is for, e.g. laptop"
          maxLength={80}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <ActionButton
          type="submit"
          variant="default"
          loading={create.isPending}
          reason={name.trim() ? null : 'Say what it is for first, so that you know later which one to revoke.'}
        >
          Create a token
        </ActionButton>
      </form>
      {create.isError && <ErrorNotice what="No token was made" error={create.error} />}
      {create.data && (
        <div className={classes['made']}>
          <output>Copy it now: it is shown this once, and only a hash of it is kept.</output>
          <SecretOnce label={`Token “${create.data.record.name}”`} secret={create.data.token} />
        </div>
      )}
      {tokens.isError && <ErrorNotice what="Your tokens could not be read" error={tokens.error} />}
      {tokens.isPending && <Skeleton height={40} />}
      {tokens.data && tokens.data.length > 0 && (
        <ul className={classes['list']}>
          {tokens.data.map((token) => (
            <li key={token.id}>
              <span className={classes['title']}>{token.name}</span>
              <span className={classes['used']}>
                created <RelativeTime at={token.createdAt} />,{' '}
                {token.lastUsedAt ? (
                  <>
                    used <RelativeTime at={token.lastUsedAt} />
                  </>
                ) : (
                  'never used'
                )}
              </span>
              <ActionButton
                size="xs"
                variant="default"
                aria-label={`Revoke ${token.name}`}
                onClick={() => setRevoking(token)}
              >
                Revoke
              </ActionButton>
            </li>
          ))}
        </ul>
      )}
      {revoking && <RevokeDialog token={revoking} onClose={() => setRevoking(undefined)} />}
    </>
  )
}

function RevokeDialog({ token, onClose }: { token: TokenRecord; onClose: () => void }) {
  const revoke = useRevokeToken()
  return (
    <ConfirmDialog
      title={`Revoke “${token.name}”?`}
      confirm="Revoke the token"
      danger
      busy={revoke.isPending}
      failure={revoke.isError ? { what: 'The token still works', error: revoke.error } : null}
      onConfirm={() => revoke.mutate(token.id, { onSuccess: onClose })}
      onClose={onClose}
    >
      <p>
        Whatever uses it is refused from now on, and consoles that it opened close. It can’t be brought back; make a new
        one.
      </p>
    </ConfirmDialog>
  )
}
