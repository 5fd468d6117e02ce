import type { Action } from '@domain/authorize.js'
import {
  IconActivityHeartbeat,
  IconDatabase,
  IconDisc,
  IconHistory,
  IconListCheck,
  IconServer2,
  IconTerminal2,
  IconTrash,
  IconUsers,
  type TablerIcon,
} from '@tabler/icons-react'
import { useMay } from '../api/current-user.js'

export interface Place {
  to: '/nodes' | '/consoles' | '/images' | '/storage' | '/trash' | '/operations' | '/people' | '/audit' | '/health'
  label: string
  icon: TablerIcon
  /** Pressed after `g`. */
  key: string
  /** Who may go there; absent: everybody. */
  needs?: Action
  /** Not for those who may do this: for them it is a part of another place. */
  unless?: Action
}

const PLACES: readonly Place[] = [
  { to: '/nodes', label: 'Nodes', icon: IconServer2, key: 'n' },
  { to: '/consoles', label: 'Consoles', icon: IconTerminal2, key: 'c' },
  { to: '/images', label: 'Images', icon: IconDisc, key: 'i', needs: 'image.manage' },
  { to: '/storage', label: 'Storage', icon: IconDatabase, key: 's', needs: 'storage.read' },
  { to: '/operations', label: 'Operations', icon: IconListCheck, key: 'o', needs: 'operation.list' },
  { to: '/trash', label: 'Trash', icon: IconTrash, key: 't', unless: 'storage.read' },
  { to: '/people', label: 'People', icon: IconUsers, key: 'p', needs: 'user.list' },
  { to: '/audit', label: 'Activity', icon: IconHistory, key: 'a', needs: 'audit.read' },
  { to: '/health', label: 'Health', icon: IconActivityHeartbeat, key: 'h', needs: 'health.readDetails' },
]

/** Where this person can go. A place that is never theirs is not there. */
export function usePlaces(): Place[] {
  const may = useMay()
  const staff = may('node.createForOthers')
  const mine = ({ needs, unless }: Place) => (!needs || may(needs)) && !(unless && may(unless))
  return PLACES.filter(mine).map((place) => (place.to === '/nodes' && !staff ? { ...place, label: 'My nodes' } : place))
}
