import type { NodeView } from '@domain/node.js'
import { Checkbox, PasswordInput, Select, TextInput, UnstyledButton } from '@mantine/core'
import { IconChevronRight } from '@tabler/icons-react'
import { useId, useState } from 'react'
import { useMay } from '../api/current-user.js'
import { useSnapshots } from '../api/disks.js'
import { RadioCards } from '../components/RadioCards.js'
import { nameForCount } from '../util/name-pattern.js'
import { formatSize } from '../util/size.js'
import { exactTime } from '../util/time.js'
import type { CloneForm } from './clone-request.js'
import classes from './CloneNodeForm.module.css'

interface Props {
  node: NodeView
  form: CloneForm
  problems: Record<string, string>
  onChange: (change: Partial<CloneForm>) => void
}

/** What is cloned and how: linked or full, from which moment, with a snapshot of before. */
export function CloneWhat({ node, form, problems, onChange }: Props) {
  const may = useMay()
  const snapshots = useSnapshots(node.id)
  const used = node.diskUsedBytes === null ? 'what it holds' : `about ${formatSize(node.diskUsedBytes)}`
  return (
    <>
      {!form.elsewhere && (
        <RadioCards
          legend="Disk"
          name="kind"
          wide
          value={form.kind}
          onChange={(kind) => onChange({ kind })}
          options={[
            {
              value: 'linked',
              title: 'Linked',
              text: 'Ready at once: it shares what is there now and keeps only its own changes.',
            },
            {
              value: 'full',
              title: 'Full',
              text: `A disk of its own that needs no other file: ${used} and the image are copied.`,
            },
          ]}
        />
      )}
      {snapshots.data && snapshots.data.length > 0 && (
        <Select
          label="From"
          data={[
            { value: '', label: 'The disk as it is now' },
            ...snapshots.data.map(({ name, createdAt, usedBytes }) => ({
              value: name,
              label: `${name}, ${exactTime(createdAt)}, ${formatSize(usedBytes)}`,
            })),
          ]}
          value={form.snapshot}
          onChange={(snapshot) => onChange({ snapshot: snapshot ?? '', ...(snapshot ? { snapshotFirst: false } : {}) })}
        />
      )}
      {!form.snapshot && !form.elsewhere && (
        <Checkbox
          label={`Keep a snapshot of ${node.name} first`}
          description="Named, and kept until you delete it: more clones can be made from it later."
          checked={form.snapshotFirst}
          onChange={(event) => onChange({ snapshotFirst: event.currentTarget.checked })}
        />
      )}
      {may('node.transfer') && <Advanced form={form} problems={problems} onChange={onChange} />}
    </>
  )
}

/** Elsewhere goes one node at a time, from its disk as it is or from a snapshot. */
function elsewhere({ name }: CloneForm, checked: boolean): Partial<CloneForm> {
  const one = { count: 1, name: nameForCount(name, 1), snapshotFirst: false }
  return { elsewhere: checked, replace: false, ...(checked ? one : {}) }
}

function Advanced({ form, problems, onChange }: Omit<Props, 'node'>) {
  const [open, setOpen] = useState(false)
  const [left, setLeft] = useState({ url: false, token: false })
  const id = useId()
  return (
    <div className={classes['advanced']}>
      <UnstyledButton
        className={classes['more']}
        aria-expanded={open}
        aria-controls={id}
        onClick={() => setOpen(!open)}
      >
        <IconChevronRight size={14} aria-hidden />
        Advanced
      </UnstyledButton>
      <div id={id} hidden={!open} className={classes['elsewhere']}>
        <Checkbox
          label="To another SandLabX"
          description="The whole disk is sent there. When the line breaks, it goes on where it was, or nothing is left."
          checked={form.elsewhere}
          onChange={(event) => onChange(elsewhere(form, event.currentTarget.checked))}
        />
        {form.elsewhere && (
          <>
            <TextInput
              label="Its address"
              placeholder="https://lab.example.org"
              type="url"
              value={form.url}
              spellCheck={false}
              autoComplete="off"
              error={left.url && problems['to.url']}
              onBlur={() => setLeft({ ...left, url: true })}
              onChange={(event) => onChange({ url: event.currentTarget.value })}
            />
            <PasswordInput
              label="An API token there"
              description="It owns the clone. Used for this only and kept nowhere."
              value={form.token}
              autoComplete="off"
              error={left.token && problems['to.token']}
              onBlur={() => setLeft({ ...left, token: true })}
              onChange={(event) => onChange({ token: event.currentTarget.value })}
            />
          </>
        )}
      </div>
    </div>
  )
}
