import type { ScreenEngine, WantedEngine } from '@domain/console.js'
import { Menu } from '@mantine/core'
import { IconAlertTriangle, IconCheck, IconPlugConnected } from '@tabler/icons-react'
import { MenuAction } from '../components/MenuAction.js'
import { BarButton } from './BarButton.js'
import classes from './ConsoleBar.module.css'
import { useOverlayTarget } from './overlay-target.js'
import { changeConsoleSettings, useConsoleSettings } from './settings.js'

interface Props {
  /** What brings the picture that is seen; null while there is none. */
  engine: ScreenEngine | null
  /** Why it is not what was wished for. */
  notice: string | null
  onClose: () => void
}

const WORDS: Record<WantedEngine, string> = {
  auto: 'Guacamole where it answers, else Direct',
  guacamole: 'Guacamole',
  direct: 'Direct (noVNC)',
}
const NAMES: Record<ScreenEngine, string> = { guacamole: 'Guacamole', direct: 'Direct' }

/** Which engine brings the screen, and the choice between them. */
export function EngineMenu({ engine, notice, onClose }: Props) {
  const target = useOverlayTarget()
  const { engine: wanted } = useConsoleSettings()
  return (
    <>
      {notice !== null && engine !== null && (
        <output className={classes['fallback']} title={notice}>
          <IconAlertTriangle size={14} stroke={1.6} aria-hidden />
          <span>{notice}</span>
        </output>
      )}
      <Menu returnFocus={false} onClose={onClose} portalProps={target ? { target } : {}}>
        <Menu.Target>
          <BarButton label="What brings the picture" wide>
            {engine === null ? '…' : NAMES[engine]}
          </BarButton>
        </Menu.Target>
        <Menu.Dropdown>
          {(['auto', 'guacamole', 'direct'] as const).map((one) => (
            <MenuAction
              key={one}
              icon={one === wanted ? IconCheck : IconPlugConnected}
              onClick={() => changeConsoleSettings({ engine: one })}
            >
              {WORDS[one]}
            </MenuAction>
          ))}
        </Menu.Dropdown>
      </Menu>
    </>
  )
}
