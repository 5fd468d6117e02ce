import { Button, Select } from '@mantine/core'
import type { AuditFilter } from '../../api/audit.js'
import { SlowField } from '../../components/SlowField.js'
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
  'console.close',
  'console.sendKeys',
  'console.typeText',
  'recording.replay',
  'recording.delete',
  'console.takeControl',
  'console.releaseControl',
  'image.build',
  'image.pull',
  'image.import',
  'image.delete',
  'operation.cancel',
  'system.rebuild',
]

const FIELD = { className: classes['filter'] ?? '', spellCheck: false, autoCapitalize: 'none', pauseMs: 300 } as const

interface Props {
  filter: AuditFilter
  onChange: (filter: AuditFilter) => void
}

export function AuditFilters({ filter, onChange }: Props) {
  const actions = filter.action && !ACTIONS.includes(filter.action) ? [filter.action, ...ACTIONS] : ACTIONS
  const any = Boolean(filter.actor ?? filter.action ?? filter.object)
  return (
    <search className={classes['filters']}>
      <SlowField
        {...FIELD}
        aria-label="Login"
        placeholder="Login"
        value={filter.actor ?? ''}
        onChange={(actor) => onChange({ ...filter, actor })}
      />
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
      <SlowField
        {...FIELD}
        aria-label="Id of the object"
        placeholder="Id of the object"
        value={filter.object ?? ''}
        onChange={(object) => onChange({ ...filter, object })}
      />
      {any && (
        <Button variant="subtle" color="gray" size="sm" onClick={() => onChange({})}>
          Clear
        </Button>
      )}
    </search>
  )
}
