import { Select } from '@mantine/core'
import { useCurrentUser, useMay } from '../api/current-user.js'
import { useUsers } from '../api/users.js'

interface Props {
  value: string
  /** Who owns it now: may stay the owner, whoever else may be chosen. */
  keep?: { id: string; login: string }
  onChange: (id: string) => void
}

/** For whom the node is: oneself, or those whom one may create nodes for. */
export function OwnerPicker({ value, keep, onChange }: Props) {
  const me = useCurrentUser()
  const may = useMay()
  const users = useUsers()
  const others = (users.data ?? []).filter(
    (user) =>
      user.id !== me.id && !user.disabled && may('node.createForOthers', { ownerId: user.id, ownerRole: user.role }),
  )
  const data = [
    { value: me.id as string, label: `${me.login} (me)` },
    ...others.map((user) => ({
      value: user.id as string,
      label: user.displayName ? `${user.displayName} (${user.login})` : user.login,
    })),
  ]
  if (keep && !data.some((one) => one.value === keep.id)) data.push({ value: keep.id, label: keep.login })
  return (
    <Select
      label="Owner"
      description="Sees and uses the node"
      data={data}
      value={value}
      searchable
      nothingFoundMessage="Nobody by that name"
      onChange={(id) => onChange(id ?? me.id)}
    />
  )
}
