import { type Action, authorize, type OwnedObject } from '@domain/authorize.js'
import type { User } from '@domain/user.js'
import { createContext, use } from 'react'

const CurrentUserContext = createContext<User | null>(null)
export const CurrentUserProvider = CurrentUserContext

/** The person at the keyboard. Only for what is shown after sign-in. */
export function useCurrentUser(): User {
  const user = use(CurrentUserContext)
  if (!user) throw new Error('useCurrentUser is used outside of the signed-in page')
  return user
}

/** Asks the same rule as the server does, so that nobody sees a button that is never theirs. */
export function useMay(): (action: Action, object?: OwnedObject) => boolean {
  const user = useCurrentUser()
  return (action, object) => authorize({ userId: user.id, role: user.role }, action, object)
}
