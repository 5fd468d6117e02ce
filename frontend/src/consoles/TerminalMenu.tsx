import { Menu } from '@mantine/core'
import { IconClipboard, IconCopy, IconSearch, IconSelectAll } from '@tabler/icons-react'
import { type MouseEvent, type ReactNode, useState } from 'react'
import { MenuAction } from '../components/MenuAction.js'
import { useOverlayTarget } from './overlay-target.js'
import classes from './SerialConsole.module.css'
import { copySelection, pasteInto, pasteRefusal } from './terminal-clipboard.js'
import type { SerialTerminal } from './terminal.js'

interface Props {
  terminal: SerialTerminal | undefined
  mayType: boolean
  onFind: () => void
  children: ReactNode
}

/** The right button's menu. With Shift the browser's own comes, as in other terminals. */
export function TerminalMenu({ terminal, mayType, onFind, children }: Props) {
  const [at, setAt] = useState<{ x: number; y: number }>()
  const target = useOverlayTarget()

  function open(event: MouseEvent): void {
    const usesMouse = terminal?.xterm.modes.mouseTrackingMode !== 'none'
    if (event.shiftKey || !terminal || usesMouse) return
    event.preventDefault()
    const { left, top } = event.currentTarget.getBoundingClientRect()
    setAt({ x: event.clientX - left, y: event.clientY - top })
  }

  function close(): void {
    setAt(undefined)
    terminal?.xterm.focus()
  }

  return (
    // A mouse's way to what the keys and the bar do as well.
    // oxlint-disable-next-line jsx-a11y/no-static-element-interactions
    <div className={classes['area']} onContextMenu={open}>
      {children}
      {at && terminal && (
        <Menu
          opened
          returnFocus={false}
          onClose={close}
          position="bottom-start"
          offset={2}
          portalProps={target ? { target } : {}}
        >
          <Menu.Target>
            <span className={classes['anchor']} style={{ left: at.x, top: at.y }} />
          </Menu.Target>
          <Menu.Dropdown>
            <MenuAction
              icon={IconCopy}
              reason={terminal.xterm.hasSelection() ? null : 'Select something first.'}
              onClick={() => copySelection(terminal.xterm)}
            >
              Copy
            </MenuAction>
            <MenuAction
              icon={IconClipboard}
              reason={mayType ? pasteRefusal() : 'You only watch this console.'}
              onClick={() => void pasteInto(terminal.xterm)}
            >
              Paste
            </MenuAction>
            <MenuAction icon={IconSelectAll} onClick={() => terminal.xterm.selectAll()}>
              Select all
            </MenuAction>
            <MenuAction icon={IconSearch} onClick={onFind}>
              Find…
            </MenuAction>
          </Menu.Dropdown>
        </Menu>
      )}
    </div>
  )
}
