import type { NodeView } from '@domain/node.js'
import type { MantineColorScheme } from '@mantine/core'
import {
  IconCamera,
  IconChecklist,
  IconCopyPlus,
  IconHeartRateMonitor,
  IconKeyboard,
  IconMoon,
  IconPlayerPause,
  IconPlayerPlay,
  IconPlayerStop,
  IconPlus,
  IconRestore,
  IconShieldCheck,
  IconStack2,
  IconSun,
  IconTerminal2,
  IconTrash,
  IconUser,
} from '@tabler/icons-react'
import type { UseNavigateResult } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { Mark } from '../components/Mark.js'
import { NODE_STATUS } from '../components/node-status.js'
import type { PowerButtons } from '../components/power.js'
import type { Place } from './places.js'

export interface Command {
  id: string
  label: string
  /** Shown dim behind the label, and searched. */
  note?: string
  /** Searched, not shown. */
  words?: string
  icon: ReactNode
  keys?: readonly string[]
  /** Lower comes first among equals; nodes themselves before what can be done with them. */
  weight: number
  run: () => void
}

type Navigate = UseNavigateResult<string>
const ICON = { size: 16, stroke: 1.6, 'aria-hidden': true } as const

/** For each node: open it; start or stop it; its console. Only what is possible now. */
export function nodeCommands(nodes: readonly NodeView[], power: PowerButtons, navigate: Navigate): Command[] {
  return nodes.flatMap((node) => {
    const { word, tone, shape } = NODE_STATUS[node.status]
    const params = { nodeId: node.id }
    const act = (verb: string, label: string, icon: ReactNode, run: () => void): Command => ({
      id: `${verb}-${node.id}`,
      label,
      words: node.ownerLogin,
      icon,
      weight: 2,
      run,
    })
    const commands: Command[] = [
      {
        id: `open-${node.id}`,
        label: node.name,
        note: `${word} · ${node.imageTitle} · ${node.ownerLogin}`,
        icon: <Mark shape={shape} tone={tone} />,
        weight: 0,
        run: () => void navigate({ to: '/nodes/$nodeId', params }),
      },
    ]
    const { console: noConsole, start, stop, suspend, clone, snapshot, reset } = node.actions
    if (noConsole === null) {
      const open = () => void navigate({ to: '/nodes/$nodeId/console', params })
      commands.push(act('console', `Console of ${node.name}`, <IconTerminal2 {...ICON} />, open))
    }
    if (start === null) {
      commands.push(
        act(
          'start',
          `${node.status === 'suspended' ? 'Resume' : 'Start'} ${node.name}`,
          <IconPlayerPlay {...ICON} />,
          () => power.run(node, 'start'),
        ),
      )
    }
    if (stop === null) {
      commands.push(act('stop', `Stop ${node.name}`, <IconPlayerStop {...ICON} />, () => power.run(node, 'stop')))
    }
    if (suspend === null) {
      const run = () => power.run(node, 'suspend')
      commands.push(act('suspend', `Suspend ${node.name}`, <IconPlayerPause {...ICON} />, run))
    }
    if (clone === null) {
      const open = () => void navigate({ to: '/nodes', search: { clone: node.id } })
      commands.push(act('clone', `Clone ${node.name}`, <IconCopyPlus {...ICON} />, open))
    }
    if (snapshot === null) {
      const open = () => void navigate({ to: '/nodes/$nodeId/snapshots', params, search: { new: 'yes' } })
      commands.push(act('snapshot', `Take a snapshot of ${node.name}`, <IconCamera {...ICON} />, open))
    }
    if (reset === null) {
      const open = () => void navigate({ to: '/nodes', search: { reset: node.id } })
      commands.push(act('reset', `Reset ${node.name}`, <IconRestore {...ICON} />, open))
    }
    const boot = () => void navigate({ to: '/nodes', search: { boot: node.id } })
    commands.push(act('boot', `Test boot ${node.name}`, <IconHeartRateMonitor {...ICON} />, boot))
    return commands
  })
}

export function pageCommands(tools: {
  places: readonly Place[]
  navigate: Navigate
  setColorScheme: (scheme: MantineColorScheme) => void
  onKeys: () => void
  onTasks: () => void
}): Command[] {
  const { places, navigate, setColorScheme, onKeys, onTasks } = tools
  return [
    {
      id: 'create-node',
      label: 'Create a node',
      words: 'new add machine',
      icon: <IconPlus {...ICON} />,
      keys: ['n'],
      weight: 1,
      run: () => void navigate({ to: '/nodes', search: { new: 'yes' } }),
    },
    {
      id: 'create-many',
      label: 'Create many nodes',
      words: 'batch class list csv',
      icon: <IconStack2 {...ICON} />,
      weight: 1,
      run: () => void navigate({ to: '/nodes', search: { many: 'yes' } }),
    },
    ...places.map(({ to, label, key, icon: Icon }) => ({
      id: `go-${to}`,
      label: `Go to ${label.toLowerCase()}`,
      icon: <Icon {...ICON} />,
      keys: ['g', key],
      weight: 1,
      run: () => void navigate({ to }),
    })),
    ...(places.some(({ to }) => to === '/storage')
      ? [
          {
            id: 'trash',
            label: 'Open the trash',
            words: 'undo deleted restore',
            icon: <IconTrash {...ICON} />,
            weight: 1,
            run: () => void navigate({ to: '/trash' }),
          },
          {
            id: 'verify',
            label: 'Verify storage',
            words: 'check disks orphans integrity',
            icon: <IconShieldCheck {...ICON} />,
            weight: 1,
            run: () => void navigate({ to: '/storage', search: { tab: 'verify' } }),
          },
        ]
      : []),
    {
      id: 'account',
      label: 'Go to my account',
      words: 'password token theme sign out',
      icon: <IconUser {...ICON} />,
      weight: 1,
      run: () => void navigate({ to: '/account' }),
    },
    { id: 'tasks', label: 'Show tasks', icon: <IconChecklist {...ICON} />, keys: ['t'], weight: 1, run: onTasks },
    {
      id: 'keys',
      label: 'Show keys',
      words: 'help',
      icon: <IconKeyboard {...ICON} />,
      keys: ['?'],
      weight: 1,
      run: onKeys,
    },
    { id: 'dark', label: 'Dark theme', icon: <IconMoon {...ICON} />, weight: 1, run: () => setColorScheme('dark') },
    { id: 'light', label: 'Light theme', icon: <IconSun {...ICON} />, weight: 1, run: () => setColorScheme('light') },
  ]
}
