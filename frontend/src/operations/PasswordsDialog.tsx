import type { Operation } from '@domain/operation.js'
import { Button, Skeleton } from '@mantine/core'
import { useClipboard } from '@mantine/hooks'
import { IconCheck, IconCopy, IconDownload } from '@tabler/icons-react'
import { useEffect } from 'react'
import { type GuestPassword, useGuestPasswords } from '../api/clones.js'
import { Dialog } from '../components/Dialog.js'
import dialog from '../components/Dialog.module.css'
import { ErrorNotice } from '../components/ErrorNotice.js'
import { ScrollBox } from '../components/ScrollBox.js'
import table from '../components/Table.module.css'
import { toCsv } from '../util/csv.js'
import { download } from '../util/download.js'
import classes from './PasswordsDialog.module.css'

/** The guests' generated passwords, told once. */
export function PasswordsDialog({ operation, onClose }: { operation: Operation; onClose: () => void }) {
  const { mutate, data, isError, error } = useGuestPasswords(operation.id)
  useEffect(() => mutate(), [mutate])
  return (
    <Dialog onClose={onClose} title="Guest passwords" width={720} easyToClose={false}>
      <div className={dialog['body']}>
        {!data && !isError && <Skeleton height={160} />}
        {isError && <ErrorNotice what="The passwords can’t be shown" error={error} safe="The nodes are well." />}
        {data?.length === 0 && (
          <p>
            There are none to tell: they were told before or more than an hour ago, or the guests of this image take
            none from SandLabX.
          </p>
        )}
        {data && data.length > 0 && <Passwords passwords={data} />}
        <div className={dialog['actions']}>
          {data && data.length > 0 && <Take passwords={data} />}
          <Button size="sm" onClick={onClose}>
            {data && data.length > 0 ? 'I have noted them' : 'Close'}
          </Button>
        </div>
      </div>
    </Dialog>
  )
}

function Passwords({ passwords }: { passwords: readonly GuestPassword[] }) {
  return (
    <>
      <p>
        Take them with you now. The server tells them this once and keeps only a hash of each; this page has them until
        you leave it.
      </p>
      <ScrollBox label="Passwords" className={`${table['scroll']} ${table['stack']} ${classes['list']}`}>
        <table className={table['table']}>
          <thead>
            <tr>
              <th>Node</th>
              <th>Owner</th>
              <th>User in the guest</th>
              <th>Password</th>
            </tr>
          </thead>
          <tbody>
            {passwords.map((one) => (
              <tr key={one.id}>
                <td data-lead className={table['strong']}>
                  {one.name}
                </td>
                <td data-label="Owner">{one.login}</td>
                <td data-label="User in the guest">
                  <code>{one.guestUser}</code>
                </td>
                <td data-label="Password">
                  <code className={classes['secret']}>{one.guestPassword}</code>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </ScrollBox>
    </>
  )
}

function Take({ passwords }: { passwords: readonly GuestPassword[] }) {
  const clipboard = useClipboard({ timeout: 2000 })
  const csv = toCsv([
    ['node', 'owner', 'guest user', 'guest password'],
    ...passwords.map((one) => [one.name, one.login, one.guestUser, one.guestPassword]),
  ])
  return (
    <>
      <Button
        size="sm"
        variant="default"
        leftSection={clipboard.copied ? <IconCheck size={15} aria-hidden /> : <IconCopy size={15} aria-hidden />}
        onClick={() => clipboard.copy(csv)}
      >
        {clipboard.copied ? 'Copied' : clipboard.error ? 'This address may not copy: download' : 'Copy as CSV'}
      </Button>
      <Button
        size="sm"
        variant="default"
        leftSection={<IconDownload size={15} aria-hidden />}
        onClick={() => download('guest-passwords.csv', new Blob([csv], { type: 'text/csv' }))}
      >
        Download
      </Button>
    </>
  )
}
