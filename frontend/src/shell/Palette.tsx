import '@mantine/spotlight/styles.layer.css'
import { useMantineColorScheme } from '@mantine/core'
import { createSpotlight, Spotlight, type SpotlightActionGroupData } from '@mantine/spotlight'
import { IconSearch } from '@tabler/icons-react'
import { useNavigate } from '@tanstack/react-router'
import { useEffect } from 'react'
import { useNodes } from '../api/nodes.js'
import { usePowerButtons } from '../components/power.js'
import { nodeCommands, pageCommands } from './commands.js'
import { usePlaces } from './places.js'

const [store, controls] = createSpotlight()

interface Props {
  onClose: () => void
  onKeys: () => void
  onTasks: () => void
}

/** Ctrl K: go anywhere, do anything, by typing a few letters of it. */
export function Palette({ onClose, onKeys, onTasks }: Props) {
  const navigate = useNavigate()
  const nodes = useNodes()
  const power = usePowerButtons()
  const places = usePlaces()
  const { setColorScheme } = useMantineColorScheme()

  useEffect(() => {
    controls.open()
    return () => controls.close()
  }, [])

  const groups: SpotlightActionGroupData[] = [
    { group: 'Nodes', actions: nodeCommands(nodes.data ?? [], power, navigate) },
    { group: 'Go to and do', actions: pageCommands({ places, navigate, setColorScheme, onKeys, onTasks }) },
  ]
  return (
    <Spotlight
      store={store}
      shortcut={null}
      actions={groups}
      limit={12}
      scrollable
      maxHeight={420}
      highlightQuery
      nothingFound="Nothing by that name"
      onSpotlightClose={onClose}
      transitionProps={{ duration: 0 }}
      searchProps={{
        placeholder: 'A node, a place, a command',
        'aria-label': 'Search and commands',
        leftSection: <IconSearch size={18} stroke={1.5} aria-hidden />,
      }}
    />
  )
}
