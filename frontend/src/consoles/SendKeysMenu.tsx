import { Menu } from '@mantine/core'
import { IconKeyboard } from '@tabler/icons-react'
import { BarButton } from './BarButton.js'
import classes from './ConsoleBar.module.css'
import { useOverlayTarget } from './overlay-target.js'
import { COMMON_CHORDS, type KeyChord, TERMINAL_CHORDS } from './send-keys.js'

interface Props {
  /** Why not now. */
  reason: string | null
  onSend: (chord: KeyChord) => void
  onClose: () => void
}

/** Keys that the browser would keep for itself. */
export function SendKeysMenu({ reason, onSend, onClose }: Props) {
  const target = useOverlayTarget()
  const label = 'Send keys'
  if (reason) {
    return (
      <BarButton label={label} reason={reason} aria-haspopup="menu">
        <IconKeyboard size={16} stroke={1.6} />
      </BarButton>
    )
  }
  return (
    <Menu returnFocus={false} onClose={onClose} portalProps={target ? { target } : {}}>
      <Menu.Target>
        <BarButton label={label}>
          <IconKeyboard size={16} stroke={1.6} />
        </BarButton>
      </Menu.Target>
      <Menu.Dropdown>
        {COMMON_CHORDS.map((chord) => (
          <Menu.Item key={chord.label} onClick={() => onSend(chord)}>
            {chord.label}
          </Menu.Item>
        ))}
        <Menu.Label>Linux’s terminals</Menu.Label>
        <div className={classes['columns']}>
          {TERMINAL_CHORDS.map((chord) => (
            <Menu.Item key={chord.label} onClick={() => onSend(chord)}>
              {chord.label}
            </Menu.Item>
          ))}
        </div>
      </Menu.Dropdown>
    </Menu>
  )
}
