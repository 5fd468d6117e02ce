import { Button, Select, TextInput } from '@mantine/core'
import { useDebouncedCallback } from '@mantine/hooks'
import { useState } from 'react'
import type { AuditFilter } from '../../api/audit.js'
import classes from './Audit.module.css'

/** What the server writes; any other action can be reached by a click in the table. */
const ACTIONS = [
  'session.signIn',
  'session.signOut',
  'session.changePassword',
  'token.create',
  'token.revoke',
  'user.create',
  'user.update',
  'user.resetPassword',
  'node.create',
  'node.update',
  'node.start',
  'node.stop',
  'node.restart',
  'node.delete',
  'console.open',
  'console.sendKeys',
  'console.typeText',
  'image.build',
  'image.pull',
  'image.import',
  'image.delete',
  'operation.cancel',
  'system.rebuild',
]

interface Props {
  filter: AuditFilter
  onChange: (filter: AuditFilter) => void
}

export function AuditFilters({ filter, onChange }: Props) {
  const actions = filter.action && !ACTIONS.includes(filter.action) ? [filter.action, ...ACTIONS] : ACTIONS
  const any = Boolean(filter.actor ?? filter.action ?? filter.object)
  return (
    <div className={classes['filters']} role="search">
      <SlowField label="Login" value={filter.actor ?? ''} onChange={(actor) => onChange({ ...filter, actor })} />
      <Select
        className={classes['filter'] ?? ''}
        aria-label="Action"
        placeholder="Any action"
        data={actions}
        value={filter.action ?? null}
        clearable
        searchable
        allowDeselect
        onChange={(action) => onChange({ ...filter, action: action ?? undefined })}
      />
      <SlowField label="Object id" value={filter.object ?? ''} onChange={(object) => onChange({ ...filter, object })} />
      {any && (
        <Button variant="subtle" color="gray" size="sm" onClick={() => onChange({})}>
          Clear
        </Button>
      )}
    </div>
  )
}

/** Asks the server only when one pauses. */
function SlowField({ label, value, onChange }: { label: string; value: string; onChange: (value: string) => void }) {
  const [typed, setTyped] = useState(value)
  const [written, setWritten] = useState(value)
  if (value !== written) {
    setWritten(value)
    setTyped(value)
  }
  const tell = useDebouncedCallback(onChange, 300)
  return (
    <TextInput
      className={classes['filter'] ?? ''}
      aria-label={label}
      placeholder={label}
      value={typed}
      spellCheck={false}
      autoCapitalize="none"
      onChange={(event) => {
        setTyped(event.currentTarget.value)
        tell(event.currentTarget.value)
      }}
    />
  )
}
