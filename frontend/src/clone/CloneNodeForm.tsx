import type { NodeView } from '@domain/node.js'
import { Button, Checkbox } from '@mantine/core'
import { type FormEvent, useMemo, useState } from 'react'
import { useCloneNode } from '../api/clones.js'
import { useNodes } from '../api/nodes.js'
import { usePlan } from '../api/plans.js'
import { ActionButton } from '../components/ActionButton.js'
import dialog from '../components/Dialog.module.css'
import { ErrorNotice } from '../components/ErrorNotice.js'
import { PlanView } from '../plan/PlanView.js'
import { useOpenTasks } from '../shell/tasks-state.js'
import { nextName } from '../util/name-pattern.js'
import { type CloneForm, cloneProblems, cloneRequest } from './clone-request.js'
import classes from './CloneNodeForm.module.css'
import { CloneTarget } from './CloneTarget.js'
import { CloneWhat } from './CloneWhat.js'
import { NameConflict } from './NameConflict.js'

export function CloneNodeForm({ node, onClose }: { node: NodeView; onClose: () => void }) {
  const nodes = useNodes()
  const clone = useCloneNode(node.id)
  const openTasks = useOpenTasks()
  const taken = useMemo(() => new Set(nodes.data?.map(({ name }) => name)), [nodes.data])
  const [form, setForm] = useState<CloneForm>(() => beginning(node, taken))
  const problems = cloneProblems(form, node.ownerId)
  const faultless = Object.keys(problems).length === 0
  const request = cloneRequest(form, node.ownerId)
  const path = `nodes/${node.id}/clone`
  const { plan, error, fresh } = usePlan(faultless ? { method: 'POST', path, body: request } : null)
  const conflict = plan?.refusal?.code === 'name_taken' || form.replace
  const change = (next: Partial<CloneForm>) => setForm((before) => ({ ...before, ...next }))

  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (clone.isPending) return
    clone.mutate(request, {
      onSuccess: () => {
        openTasks()
        onClose()
      },
    })
  }

  return (
    <form onSubmit={submit} className={classes['form']} noValidate>
      <div className={classes['fields']}>
        <CloneTarget node={node} form={form} problems={problems} onChange={change} />
        {conflict && faultless && (
          <NameConflict
            form={form}
            plan={plan}
            onReplace={(replace) => change({ replace })}
            onOther={() => change({ name: otherName(form, taken), replace: false })}
          />
        )}
        <CloneWhat node={node} form={form} problems={problems} onChange={change} />
      </div>
      <div className={classes['side']}>
        <PlanView
          plan={plan}
          error={error}
          fresh={fresh}
          waiting={Object.values(problems)[0] ?? ''}
          {...(form.replace ? {} : { except: 'name_taken' })}
        />
      </div>
      <footer className={classes['footer']}>
        {clone.isError && <ErrorNotice what={`${node.name} was not cloned`} error={clone.error} />}
        <div className={dialog['actions']}>
          <Checkbox
            className={classes['start'] ?? ''}
            label={form.count > 1 ? 'Start them afterwards' : 'Start it afterwards'}
            checked={form.start}
            onChange={(event) => change({ start: event.currentTarget.checked })}
          />
          <Button variant="default" size="sm" onClick={onClose}>
            Cancel
          </Button>
          <ActionButton
            type="submit"
            loading={clone.isPending}
            reason={Object.values(problems)[0] ?? (fresh ? plan?.refusal?.message : null)}
          >
            {actionWords(form)}
          </ActionButton>
        </div>
      </footer>
    </form>
  )
}

function beginning(node: NodeView, taken: ReadonlySet<string>): CloneForm {
  return {
    name: nextName(node.name, taken),
    count: 1,
    kind: 'linked',
    snapshot: '',
    ownerId: node.ownerId,
    snapshotFirst: false,
    start: false,
    replace: false,
    elsewhere: false,
    url: '',
    token: '',
  }
}

function otherName({ name, count }: CloneForm, taken: ReadonlySet<string>): string {
  if (count === 1) return nextName(name, new Set([...taken, name]))
  return name.replace(/-?(\{n{1,2}\})/, '-b-$1')
}

function actionWords({ count, name, replace }: CloneForm): string {
  if (count > 1) return replace ? `Replace, and make ${count} clones` : `Make ${count} clones`
  return replace ? `Replace ${name}` : `Clone to ${name || '…'}`
}
