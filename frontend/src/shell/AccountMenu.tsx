import { Menu, UnstyledButton, useMantineColorScheme, VisuallyHidden } from '@mantine/core'
import { IconCheck, IconDeviceDesktop, IconLogout, IconMoon, IconSun, IconTrash, IconUser } from '@tabler/icons-react'
import { Link } from '@tanstack/react-router'
import { useCurrentUser } from '../api/current-user.js'
import { useSignOut } from '../api/session.js'
import { toastError } from '../components/toast.js'
import classes from './AccountMenu.module.css'

const THEMES = [
  { value: 'auto', label: 'System theme', icon: IconDeviceDesktop },
  { value: 'light', label: 'Light theme', icon: IconSun },
  { value: 'dark', label: 'Dark theme', icon: IconMoon },
] as const

/** Me: account, theme, sign out. */
export function AccountMenu() {
  const user = useCurrentUser()
  const signOut = useSignOut()
  const { colorScheme, setColorScheme } = useMantineColorScheme()
  const name = user.displayName || user.login
  return (
    <Menu>
      <Menu.Target>
        <UnstyledButton className={classes['me']} aria-label={`${initials(name)}, account of ${name}`}>
          {initials(name)}
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>
          <span className={classes['name']}>{name}</span>
          <span className={classes['role']}>
            {user.login} · {user.role}
          </span>
        </Menu.Label>
        <Menu.Divider />
        <Menu.Item component={Link} to="/account" leftSection={<IconUser size={15} stroke={1.6} />}>
          My account
        </Menu.Item>
        <Menu.Item component={Link} to="/trash" leftSection={<IconTrash size={15} stroke={1.6} />}>
          Trash
        </Menu.Item>
        <Menu.Divider />
        {THEMES.map(({ value, label, icon: Icon }) => (
          <Menu.Item
            key={value}
            leftSection={<Icon size={15} stroke={1.6} />}
            rightSection={
              colorScheme === value ? <IconCheck size={14} className={classes['chosen']} aria-hidden /> : null
            }
            onClick={() => setColorScheme(value)}
          >
            {label}
            {colorScheme === value && <VisuallyHidden>, chosen</VisuallyHidden>}
          </Menu.Item>
        ))}
        <Menu.Divider />
        <Menu.Item
          leftSection={<IconLogout size={15} stroke={1.6} />}
          onClick={() => signOut.mutate(undefined, { onError: (error) => toastError('Signing out failed', error) })}
        >
          Sign out
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  )
}

export function initials(name: string): string {
  const words = name.split(/[\s._-]+/).filter(Boolean)
  const letters = words.length > 1 ? [words[0], words.at(-1)].map((word) => word?.[0]) : [name.slice(0, 2)]
  return letters.join('').toUpperCase()
}
