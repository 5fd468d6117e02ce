import type { User } from '@domain/user.js'
import { ActionIcon, Menu } from '@mantine/core'
import { IconDots, IconKey, IconUserCheck, IconUserCog, IconUserOff } from '@tabler/icons-react'
import { useCurrentUser } from '../../api/current-user.js'
import { Mark } from '../../components/Mark.js'
import { MenuAction } from '../../components/MenuAction.js'
import { RelativeTime } from '../../components/RelativeTime.js'
import table from '../../components/Table.module.css'
import classes from './People.module.css'
import type { PersonDialog } from './PersonDialogs.js'

interface Props {
  user: User
  manages: boolean
  onDialog: (dialog: PersonDialog) => void
}

export function PersonRow({ user, manages, onDialog }: Props) {
  const me = useCurrentUser()
  const self = user.id === me.id
  return (
    <tr>
      <td data-lead>
        <span className={table['strong']}>{user.displayName || user.login}</span>
        <span className={table['sub']}>
          {user.login}
          {self && ' (me)'}
        </span>
      </td>
      <td data-label="Role">{user.role}</td>
      <td data-label="Sign-in">
        <SignIn user={user} />
      </td>
      <td data-label="Last signed in" className={table['nowrap']}>
        {user.lastSignInAt ? <RelativeTime at={user.lastSignInAt} /> : <span className={table['soft']}>never</span>}
      </td>
      <td data-label="Created" className={table['nowrap']}>
        <RelativeTime at={user.createdAt} />
      </td>
      {manages && (
        <td data-corner className={table['end']}>
          <PersonMenu user={user} self={self} onDialog={onDialog} />
        </td>
      )}
    </tr>
  )
}

function PersonMenu({ user, self, onDialog }: { user: User; self: boolean; onDialog: Props['onDialog'] }) {
  return (
    <Menu>
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" size={28} aria-label={`Actions for ${user.login}`}>
          <IconDots size={16} aria-hidden />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <MenuAction
          icon={IconUserCog}
          reason={self ? 'You can’t change your own role; another administrator can.' : null}
          onClick={() => onDialog({ kind: 'role', user })}
        >
          Change role…
        </MenuAction>
        <MenuAction
          icon={IconKey}
          reason={self ? 'Change your own password under My account.' : null}
          onClick={() => onDialog({ kind: 'password', user })}
        >
          Reset password…
        </MenuAction>
        <Menu.Divider />
        <MenuAction
          icon={user.disabled ? IconUserCheck : IconUserOff}
          danger={!user.disabled}
          reason={self ? 'You can’t disable yourself.' : null}
          onClick={() => onDialog({ kind: 'disabled', user })}
        >
          {user.disabled ? 'Enable…' : 'Disable…'}
        </MenuAction>
      </Menu.Dropdown>
    </Menu>
  )
}

function SignIn({ user }: { user: User }) {
  if (user.disabled) {
    return (
      <span className={classes['state']}>
        <Mark shape="cross" tone="off" /> <span className={classes['off']}>Disabled</span>
      </span>
    )
  }
  if (user.mustChangePassword) {
    return (
      <span className={classes['state']}>
        <Mark shape="half" tone="boot" /> First password not changed
      </span>
    )
  }
  return (
    <span className={classes['state']}>
      <Mark shape="dot" tone="run" /> Enabled
    </span>
  )
}
