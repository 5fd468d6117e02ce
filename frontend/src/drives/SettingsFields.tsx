import type { DriveSettings } from '@domain/drive.js'
import { Checkbox, Select, TextInput } from '@mantine/core'
import type { ReactNode } from 'react'
import classes from './SettingsFields.module.css'
import { type LimitsForm, readLimits } from './limits.js'

/** How the guest reaches a drive, as it is typed. */
export interface SettingsForm {
  readOnly: boolean
  cache: DriveSettings['cache']
  io: DriveSettings['io']
  limits: LimitsForm
}

const CACHES = [
  { value: 'writeback', label: 'writeback: through the server’s page cache' },
  { value: 'none', label: 'none: past the page cache' },
  { value: 'writethrough', label: 'writethrough: every write is flushed' },
] as const
const ENGINES = [
  { value: 'threads', label: 'threads: works everywhere' },
  { value: 'native', label: 'native: needs cache none' },
  { value: 'io_uring', label: 'io_uring: most containers refuse it' },
] as const

/** What is wrong with them first, as a sentence; undefined when they can be sent. */
export function settingsProblem({ cache, io, limits }: SettingsForm): string | undefined {
  if (io === 'native' && cache !== 'none') return 'The native engine needs cache “none”.'
  const [problem] = Object.values(readLimits(limits).problems)
  return problem && `${problem}.`
}

interface Props {
  value: SettingsForm
  onChange: (change: Partial<SettingsForm>) => void
}

export function SettingsFields({ value, onChange }: Props) {
  const { problems } = readLimits(value.limits)
  const wrongEngine = value.io === 'native' && value.cache !== 'none'
  const limit = (field: keyof LimitsForm, label: string, placeholder: string) => (
    <TextInput
      label={label}
      placeholder={placeholder}
      value={value.limits[field]}
      error={problems[field]}
      spellCheck={false}
      autoComplete="off"
      onChange={(event) => onChange({ limits: { ...value.limits, [field]: event.currentTarget.value } })}
    />
  )
  return (
    <>
      <Checkbox
        label="Read only"
        description="The guest sees it and can’t change it."
        checked={value.readOnly}
        onChange={(event) => onChange({ readOnly: event.currentTarget.checked })}
      />
      <Pair>
        <Select label="Cache" data={CACHES} value={value.cache} onChange={(cache) => cache && onChange({ cache })} />
        <Select
          label="I/O engine"
          data={ENGINES}
          value={value.io}
          error={wrongEngine && 'Needs cache “none”'}
          onChange={(io) => io && onChange({ io })}
        />
      </Pair>
      <fieldset className={classes['limits']}>
        <legend>Limits</legend>
        <Pair>
          {limit('bytes', 'Bytes a second', 'no limit')}
          {limit('burstBytes', 'In a burst', 'no burst')}
          {limit('operations', 'Operations a second', 'no limit')}
          {limit('burstOperations', 'Operations in a burst', 'no burst')}
        </Pair>
      </fieldset>
    </>
  )
}

function Pair({ children }: { children: ReactNode }) {
  return <div className={classes['pair']}>{children}</div>
}
