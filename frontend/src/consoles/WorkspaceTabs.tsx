import type { NodeView } from '@domain/node.js'
import { Menu } from '@mantine/core'
import {
  IconColumns2,
  IconDeviceDesktop,
  IconLayoutGrid,
  IconPlus,
  IconPrompt,
  IconSquare,
  IconTerminal2,
  IconX,
} from '@tabler/icons-react'
import { Mark } from '../components/Mark.js'
import { NODE_STATUS } from '../components/node-status.js'
import { BarButton } from './BarButton.js'
import { KIND_WORDS } from './console-view.js'
import dark from './console-dark.module.css'
import classes from './ConsoleWorkspace.module.css'
import {
  type ConsoleLayout,
  type ConsoleTab,
  MAX_TABS,
  PANE_COUNTS,
  type PaneCount,
  setPanes,
  tabKey,
} from './layout.js'

interface Props {
  layout: ConsoleLayout
  nodes: ReadonlyMap<string, NodeView>
  stale: boolean
  onShow: (index: number) => void
  onClose: (index: number) => void
  onOpen: (tab: ConsoleTab) => void
  onChange: (layout: ConsoleLayout) => void
}

const KIND_ICONS = { serial: IconTerminal2, screen: IconDeviceDesktop, ssh: IconPrompt } as const

const PANES: Record<PaneCount, { label: string; Icon: typeof IconSquare }> = {
  1: { label: 'One console', Icon: IconSquare },
  2: { label: 'Two side by side', Icon: IconColumns2 },
  4: { label: 'Four', Icon: IconLayoutGrid },
}

/** The open consoles, how many are seen at once, and a way to open more. */
export function WorkspaceTabs({ layout, nodes, stale, onShow, onClose, onOpen, onChange }: Props) {
  return (
    <nav className={`${dark['dark']} ${classes['tabs']}`} aria-label="Open consoles">
      <ul className={classes['list']}>
        {layout.tabs.map((tab, index) => (
          <Tab
            key={tabKey(tab)}
            tab={tab}
            node={nodes.get(tab.nodeId)}
            stale={stale}
            pane={layout.shown.indexOf(index)}
            isFocused={layout.shown[layout.focus] === index}
            onShow={() => onShow(index)}
            onClose={() => onClose(index)}
          />
        ))}
      </ul>
      <OpenMenu layout={layout} nodes={nodes} onOpen={onOpen} />
      <div className={classes['gap']} />
      <fieldset className={classes['counts']} aria-label="Consoles seen at once">
        {PANE_COUNTS.map((count) => {
          const { label, Icon } = PANES[count]
          return (
            <BarButton
              key={count}
              label={label}
              pressed={layout.panes === count}
              onClick={() => onChange(setPanes(layout, count))}
            >
              <Icon size={15} stroke={1.6} aria-hidden />
            </BarButton>
          )
        })}
      </fieldset>
    </nav>
  )
}

interface TabProps {
  tab: ConsoleTab
  node: NodeView | undefined
  stale: boolean
  /** Negative: not seen now. */
  pane: number
  isFocused: boolean
  onShow: () => void
  onClose: () => void
}

function Tab({ tab, node, stale, pane, isFocused, onShow, onClose }: TabProps) {
  const name = node?.name ?? 'Unknown node'
  const kind = KIND_WORDS[tab.kind]
  const Icon = KIND_ICONS[tab.kind]
  const { word, shape, tone } = NODE_STATUS[node?.status ?? 'unknown']
  return (
    <li className={classes['tab']} data-seen={pane >= 0 || undefined} data-focus={isFocused || undefined}>
      <button
        type="button"
        className={classes['show']}
        aria-current={isFocused || undefined}
        aria-label={`${name}, ${kind}, ${stale ? 'last known ' : ''}${word.toLowerCase()}`}
        onClick={onShow}
        onAuxClick={({ button }) => button === 1 && onClose()}
      >
        <Mark shape={stale ? 'ring' : shape} tone={stale ? 'off' : tone} />
        <span className={classes['label']}>{name}</span>
        <Icon size={13} stroke={1.6} aria-hidden />
      </button>
      <button type="button" className={classes['close']} aria-label={`Close ${name}, ${kind}`} onClick={onClose}>
        <IconX size={13} aria-hidden />
      </button>
    </li>
  )
}

function OpenMenu({ layout, nodes, onOpen }: Pick<Props, 'layout' | 'nodes' | 'onOpen'>) {
  const label = 'Open another console'
  if (layout.tabs.length >= MAX_TABS) {
    return (
      <BarButton label={label} reason={`${MAX_TABS} consoles are open already.`}>
        <IconPlus size={15} aria-hidden />
      </BarButton>
    )
  }
  const sorted = [...nodes.values()].toSorted((a, b) => a.name.localeCompare(b.name))
  return (
    <Menu position="bottom-start">
      <Menu.Target>
        <BarButton label={label}>
          <IconPlus size={15} aria-hidden />
        </BarButton>
      </Menu.Target>
      <Menu.Dropdown className={classes['choices']}>
        {sorted.length === 0 && <Menu.Label>There is no node yet.</Menu.Label>}
        {sorted.map((node) => (
          <Menu.Item
            key={node.id}
            leftSection={<Mark {...NODE_STATUS[node.status]} />}
            onClick={() => onOpen({ nodeId: node.id, kind: 'serial', mode: 'control' })}
          >
            {node.name}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  )
}
