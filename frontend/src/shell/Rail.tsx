import { Tooltip, UnstyledButton } from '@mantine/core'
import { IconLayoutSidebarLeftCollapse, IconLayoutSidebarLeftExpand } from '@tabler/icons-react'
import { Link } from '@tanstack/react-router'
import { useHealth } from '../api/health.js'
import { useMay } from '../api/current-user.js'
import { Mark } from '../components/Mark.js'
import { Logo } from './Logo.js'
import { type Place, usePlaces } from './places.js'
import classes from './Rail.module.css'

/** The left rail: icons with labels, or icons alone. */
export function Rail({ narrow, onToggle }: { narrow: boolean; onToggle: () => void }) {
  const places = usePlaces()
  const Toggle = narrow ? IconLayoutSidebarLeftExpand : IconLayoutSidebarLeftCollapse
  const label = narrow ? 'Show the labels' : 'Show icons only'
  return (
    <nav className={classes['rail']} aria-label="Places">
      <Link to="/nodes" className={classes['brand']} aria-label="SandLabX: nodes">
        <Logo size={22} />
        <span className={classes['label']}>SandLabX</span>
      </Link>
      <ul className={classes['places']}>
        {places.map((place) => (
          <li key={place.to}>
            <PlaceLink place={place} narrow={narrow} />
          </li>
        ))}
      </ul>
      <Tooltip label={`${label}  [`} position="right">
        <UnstyledButton className={classes['toggle']} onClick={onToggle} aria-label={label}>
          <Toggle size={18} stroke={1.6} aria-hidden />
        </UnstyledButton>
      </Tooltip>
    </nav>
  )
}

function PlaceLink({ place, narrow }: { place: Place; narrow: boolean }) {
  const Icon = place.icon
  return (
    <Tooltip label={place.label} position="right" disabled={!narrow}>
      <Link
        to={place.to}
        className={classes['place']}
        activeProps={{ 'aria-current': 'page' }}
        activeOptions={{ includeSearch: false }}
      >
        <Icon size={18} stroke={1.6} aria-hidden />
        <span className={classes['label']}>{place.label}</span>
        {place.to === '/health' && <HealthSign />}
      </Link>
    </Tooltip>
  )
}

/** Something is not well: said where one goes to mend it. */
function HealthSign() {
  const may = useMay()
  const health = useHealth({ enabled: may('health.readDetails') })
  const state = health.data?.state
  if (!state || state === 'ok') return null
  return (
    <span className={classes['sign']}>
      <Mark shape={state === 'failed' ? 'cross' : 'triangle'} tone={state === 'failed' ? 'bad' : 'warn'} />
      <span className="visually-hidden">
        {state === 'failed' ? 'something has failed' : 'something needs attention'}
      </span>
    </span>
  )
}
