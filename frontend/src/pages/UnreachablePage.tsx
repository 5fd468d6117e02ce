import { Button } from '@mantine/core'
import type { ApiError } from '../api/client.js'
import { ErrorNotice } from '../components/ErrorNotice.js'
import { useDocumentTitle } from '../components/PageHeader.js'
import { Logo } from '../shell/Logo.js'
import classes from './LonePage.module.css'

/** The page is here, the server is not. */
export function UnreachablePage({ error, retry }: { error: ApiError | undefined; retry: () => unknown }) {
  useDocumentTitle('No answer')
  return (
    <div className={classes['page']}>
      <main className={classes['card']}>
        <Logo size={28} />
        <h1>The server does not answer</h1>
        <ErrorNotice what="It could not be asked who you are" error={error} />
        <div className={classes['actions']}>
          <Button onClick={() => retry()}>Try again</Button>
        </div>
      </main>
    </div>
  )
}
