import type { NodeView } from '@domain/node.js'
import type { MantineColorScheme } from '@mantine/core'
import type { SpotlightActionData } from '@mantine/spotlight'
import {
  IconKeyboard,
  IconChecklist,
  IconMoon,
  IconPlayerPlay,
  IconPlayerStop,
  IconPlus,
  IconSun,
  IconTerminal2,
  IconUser,
} from '@tabler/icons-react'
import type { UseNavigateResult } from '@tanstack/react-router'
import { NODE_STATUS } from '../components/node-status.js'
import type { PowerButtons } from '../components/power.js'
import { Mark } from '../components/Mark.js'
import type { Place } from './places.js'

type Navigate = UseNavigateResult<string>
const ICON = { size: 17, stroke: 1.6, 'aria-hidden': true } as const

/** For each node: open it; start or stop it; its console. Only what is possible now. */
export function nodeCommands(
  nodes: readonly NodeView[],
  power: PowerButtons,
  navigate: Navigate,
): SpotlightActionData[] {
  return nodes.flatMap((node) => {
    const { word, tone, shape } = NODE_STATUS[node.status]
    const to = { params: { nodeId: node.id } } as const
    const commands: SpotlightActionData[] = [
      {
        id: `open-${node.id}`,
        label: node.name,
        description: `${word} · ${node.imageTitle} · ${node.ownerLogin}`,
        leftSection: <Mark shape={shape} tone={tone} />,
        onClick: () => void navigate({ to: '/nodes/$nodeId', ...to }),
      },
    ]
    if (node.actions.console === null) {
      commands.push({
        id: `console-${node.id}`,
        label: `Console of ${node.name}`,
        leftSection: <IconTerminal2 {...ICON} />,
        onClick: () => void navigate({ to: '/nodes/$nodeId/console', ...to }),
      })
    }
    if (node.actions.start === null) {
      commands.push({
        id: `start-${node.id}`,
        label: `Start ${node.name}`,
        leftSection: <IconPlayerPlay {...ICON} />,
        onClick: () => power.run(node, 'start'),
      })
    }
    if (node.actions.stop === null) {
      commands.push({
        id: `stop-${node.id}`,
        label: `Stop ${node.name}`,
        leftSection: <IconPlayerStop {...ICON} />,
        onClick: () => power.run(node, 'stop'),
      })
    }
    return commands
  })
}

export function pageCommands(tools: {
  places: readonly Place[]
  navigate: Navigate
  setColorScheme: (scheme: MantineColorScheme) => void
  onKeys: () => void
  onTasks: () => void
}): SpotlightActionData[] {
  const { places, navigate, setColorScheme, onKeys, onTasks } = tools
  return [
    {
      id: 'create-node',
      label: 'Create a node',
      keywords: ['new', 'add', 'vm'],
      leftSection: <IconPlus {...ICON} />,
      onClick: () => void navigate({ to: '/nodes', search: { new: 'yes' } }),
    },
    ...places.map(({ to, label, icon: Icon }) => ({
      id: `go-${to}`,
      label,
      leftSection: <Icon {...ICON} />,
      onClick: () => void navigate({ to }),
    })),
    {
      id: 'account',
      label: 'My account',
      keywords: ['password', 'token', 'theme'],
      leftSection: <IconUser {...ICON} />,
      onClick: () => void navigate({ to: '/account' }),
    },
    { id: 'tasks', label: 'Tasks', leftSection: <IconChecklist {...ICON} />, onClick: onTasks },
    { id: 'keys', label: 'Keys', leftSection: <IconKeyboard {...ICON} />, onClick: onKeys },
    {
      id: 'dark',
      label: 'Dark theme',
      leftSection: <IconMoon {...ICON} />,
      onClick: () => setColorScheme('dark'),
    },
    {
      id: 'light',
      label: 'Light theme',
      leftSection: <IconSun {...ICON} />,
      onClick: () => setColorScheme('light'),
    },
  ]
}
