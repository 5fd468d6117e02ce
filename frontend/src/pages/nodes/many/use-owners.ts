import { useMemo } from 'react'
import { useCurrentUser, useMay } from '../../../api/current-user.js'
import { useUsers } from '../../../api/users.js'
import type { Person } from './node-list.js'

export interface Owner extends Person {
  student: boolean
}

/** Whom one may create nodes for: oneself, and the others within reach. */
export function useOwners(): readonly Owner[] {
  const me = useCurrentUser()
  const may = useMay()
  const staff = may('node.createForOthers')
  const users = useUsers({ enabled: staff })
  return useMemo(() => {
    const others = (users.data ?? []).filter(
      ({ id, role, disabled }) =>
        id !== me.id && !disabled && may('node.createForOthers', { ownerId: id, ownerRole: role }),
    )
    return [
      { id: me.id, login: me.login, student: false },
      ...others.map(({ id, login, role }) => ({ id, login, student: role === 'student' })),
    ]
    // oxlint-disable-next-line react-hooks/exhaustive-deps -- may is a new function at each render and asks only of me
  }, [users.data, me])
}
