import type { ConsoleKind, ConsoleMode } from '@domain/console.js'
import { Menu } from '@mantine/core'
import {
  IconAspectRatio,
  IconCamera,
  IconCheck,
  IconDots,
  IconEye,
  IconEar,
  IconFileText,
  IconHelp,
  IconPalette,
  IconRulerMeasure,
  IconSearch,
  IconTextDecrease,
  IconTextIncrease,
} from '@tabler/icons-react'
import { MenuAction } from '../components/MenuAction.js'
import { BarButton } from './BarButton.js'
import type { ConsoleHandle, ScreenHandle, SerialHandle } from './console-view.js'
import { useOverlayTarget } from './overlay-target.js'
import { changeConsoleSettings, FONT_SIZES, useConsoleSettings } from './settings.js'

interface Props {
  kind: ConsoleKind
  mode: ConsoleMode
  handle: ConsoleHandle | null
  isLive: boolean
  mayType: boolean
  onModeChange?: ((mode: ConsoleMode) => void) | undefined
  onHelp: () => void
}

const NOT_LIVE = 'The console is not connected.'

/** What is used less often than the bar's own buttons. */
export function MoreMenu({ kind, mode, handle, isLive, mayType, onModeChange, onHelp }: Props) {
  const target = useOverlayTarget()
  return (
    // One goes on typing after a choice, so the keyboard goes back to the console and not to this button.
    <Menu returnFocus={false} onClose={() => handle?.focus()} portalProps={target ? { target } : {}}>
      <Menu.Target>
        <BarButton label="More">
          <IconDots size={16} stroke={1.6} />
        </BarButton>
      </Menu.Target>
      <Menu.Dropdown>
        {kind !== 'screen' && handle && handle.kind !== 'screen' && <SerialItems handle={handle} mayType={mayType} />}
        {kind === 'screen' && handle?.kind === 'screen' && <ScreenItems handle={handle} isLive={isLive} />}
        {onModeChange && (
          <MenuAction
            icon={mode === 'view' ? IconCheck : IconEye}
            onClick={() => onModeChange(mode === 'view' ? 'control' : 'view')}
          >
            {mode === 'view' ? 'Only watching: type again' : 'Only watch'}
          </MenuAction>
        )}
        <Menu.Divider />
        <MenuAction icon={IconHelp} onClick={onHelp}>
          Keys and help
        </MenuAction>
      </Menu.Dropdown>
    </Menu>
  )
}

function SerialItems({ handle, mayType }: { handle: SerialHandle; mayType: boolean }) {
  const { fontSize, screenReader } = useConsoleSettings()
  return (
    <>
      <MenuAction icon={IconSearch} onClick={handle.find}>
        Find…
      </MenuAction>
      {handle.kind === 'serial' && (
        <MenuAction
          icon={IconRulerMeasure}
          reason={mayType ? null : 'You do not have control.'}
          onClick={handle.sendSize}
        >
          Send size (types stty)
        </MenuAction>
      )}
      <MenuAction icon={IconFileText} onClick={() => handle.save('text')}>
        Save what was said
      </MenuAction>
      <MenuAction icon={IconPalette} onClick={() => handle.save('colours')}>
        Save it with its colours
      </MenuAction>
      <Menu.Divider />
      <MenuAction
        icon={IconTextIncrease}
        reason={fontSize >= FONT_SIZES.max ? 'It is as large as it gets.' : null}
        onClick={() => changeConsoleSettings({ fontSize: fontSize + 1 })}
      >
        Larger letters ({fontSize} px)
      </MenuAction>
      <MenuAction
        icon={IconTextDecrease}
        reason={fontSize <= FONT_SIZES.min ? 'It is as small as it gets.' : null}
        onClick={() => changeConsoleSettings({ fontSize: fontSize - 1 })}
      >
        Smaller letters
      </MenuAction>
      <MenuAction
        icon={screenReader ? IconCheck : IconEar}
        onClick={() => changeConsoleSettings({ screenReader: !screenReader })}
      >
        {screenReader ? 'For screen readers: on' : 'For screen readers'}
      </MenuAction>
    </>
  )
}

function ScreenItems({ handle, isLive }: { handle: ScreenHandle; isLive: boolean }) {
  const { fitScreen } = useConsoleSettings()
  return (
    <>
      <MenuAction icon={IconAspectRatio} onClick={() => changeConsoleSettings({ fitScreen: !fitScreen })}>
        {fitScreen ? 'Show pixel for pixel' : 'Fit into the pane'}
      </MenuAction>
      <MenuAction icon={IconCamera} reason={isLive ? null : NOT_LIVE} onClick={handle.savePicture}>
        Save a picture
      </MenuAction>
    </>
  )
}
