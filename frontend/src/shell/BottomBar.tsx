import { Link } from '@tanstack/react-router'
import { usePlaces } from './places.js'
import classes from './BottomBar.module.css'

/** The rail of small screens. */
export function BottomBar() {
  const places = usePlaces()
  return (
    <nav className={classes['bar']} aria-label="Places">
      {places.map(({ to, label, icon: Icon }) => (
        <Link
          key={to}
          to={to}
          className={classes['place']}
          activeProps={{ 'aria-current': 'page' }}
          activeOptions={{ includeSearch: false }}
        >
          <Icon size={20} stroke={1.6} aria-hidden />
          <span>{label}</span>
        </Link>
      ))}
    </nav>
  )
}
