import type { ReactNode } from 'react'
import { ApiError } from './api/client.js'
import { CurrentUserProvider } from './api/current-user.js'
import { useSession } from './api/session.js'
import { FirstPasswordPage } from './pages/FirstPasswordPage.js'
import { SignInPage } from './pages/SignInPage.js'
import { UnreachablePage } from './pages/UnreachablePage.js'
import { Shell } from './shell/Shell.js'
import { ShellSkeleton } from './shell/ShellSkeleton.js'

/** Who is here decides what is shown; the address stays, so that signing in leads to where one wanted to go. */
export function App(): ReactNode {
  const session = useSession()
  if (session.isPending) return <ShellSkeleton />
  if (session.data === undefined) return <UnreachablePage error={asError(session.error)} retry={session.refetch} />
  const user = session.data
  if (!user) return <SignInPage />
  if (user.mustChangePassword) return <FirstPasswordPage user={user} />
  return (
    <CurrentUserProvider value={user}>
      <Shell key={user.id} />
    </CurrentUserProvider>
  )
}

function asError(error: unknown): ApiError | undefined {
  return error instanceof ApiError ? error : undefined
}
