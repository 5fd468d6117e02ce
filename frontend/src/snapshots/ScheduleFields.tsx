import type { SnapshotSchedule } from '@domain/snapshot.js'
import { CountField } from '../components/CountField.js'
import classes from './ScheduleFields.module.css'

const FIELDS = [
  { key: 'hourly', label: 'Hourly', maximum: 48, slideTo: 24 },
  { key: 'daily', label: 'Daily', maximum: 60, slideTo: 14 },
  { key: 'weekly', label: 'Weekly', maximum: 52, slideTo: 12 },
] as const

interface Props {
  value: SnapshotSchedule
  onChange: (schedule: SnapshotSchedule) => void
}

/** How many automatic snapshots of each kind are kept; none of a kind: none is taken. */
export function ScheduleFields({ value, onChange }: Props) {
  return (
    <div className={classes['fields']}>
      {FIELDS.map(({ key, label, maximum, slideTo }) => (
        <CountField
          key={key}
          label={label}
          description={value[key] === 0 ? 'None is taken' : `The newest ${value[key]} are kept`}
          value={value[key]}
          minimum={0}
          slideTo={slideTo}
          maximum={maximum}
          onChange={(kept) => onChange({ ...value, [key]: kept })}
        />
      ))}
    </div>
  )
}

/** `24 hourly, 7 daily`, or that there are none. */
export function scheduleWords({ hourly, daily, weekly }: SnapshotSchedule): string {
  const parts = [hourly && `${hourly} hourly`, daily && `${daily} daily`, weekly && `${weekly} weekly`]
  return parts.filter(Boolean).join(', ') || 'none'
}
