import { Button, TextInput } from '@mantine/core'
import { type FormEvent, type ReactNode, useState } from 'react'
import { type Asked, usePlan } from '../api/plans.js'
import { useWork, type WorkAnswer } from '../api/work.js'
import { ActionButton } from '../components/ActionButton.js'
import { Dialog } from '../components/Dialog.js'
import dialog from '../components/Dialog.module.css'
import { ErrorNotice } from '../components/ErrorNotice.js'
import { useOpenTasks } from '../shell/tasks-state.js'
import { PlanView } from './PlanView.js'

interface Props {
  title: string
  /** What the server is asked to plan and then, unchanged, to do; null while the form says too little. */
  asked: Asked | null
  /** The first thing that the form lacks, as a sentence. */
  problem?: string | undefined
  /** A verb with its scope: `Reset web-07`. */
  confirm: string
  /** The beginning of a sentence: `web-07 was not reset`. */
  failure: string
  danger?: boolean
  /** Pixels. */
  width?: number
  /** Fields above the plan, and what goes, what stays, how to undo it. */
  children?: ReactNode
  /** Options under the plan. */
  options?: ReactNode
  /** A refusal by this code the form itself shows beside what it is about. */
  except?: string
  /** For what can't be undone: this is typed before it can be done. */
  typed?: string
  onDone?: (answer: WorkAnswer) => void
  onClose: () => void
}

/** Asks before something changes on the disk: what is shown is the plan of exactly what is then done. */
export function PlanDialog(props: Props) {
  const { title, asked, problem, confirm, failure, danger = false, width = 520, onDone, onClose } = props
  const { plan, error, fresh } = usePlan(asked)
  const work = useWork()
  const openTasks = useOpenTasks()
  const [confirmed, setConfirmed] = useState('')
  const untyped = props.typed !== undefined && confirmed.trim() !== props.typed
  const reason =
    problem ?? (fresh ? plan?.refusal?.message : null) ?? (untyped ? `Type ${props.typed ?? ''} first.` : null)

  const submit = async () => {
    if (!asked || reason || work.isPending) return
    let answer: WorkAnswer
    try {
      answer = await work.mutateAsync(asked)
    } catch {
      return // shown in the dialog
    }
    // Not in mutate's own callback: a live event may have taken away the row that this dialog belongs to.
    if (answer?.operation) openTasks()
    onClose()
    onDone?.(answer)
  }

  return (
    <Dialog onClose={onClose} title={title} width={width} easyToClose={!props.children}>
      <form
        className={dialog['body']}
        noValidate
        onSubmit={(event: FormEvent) => {
          event.preventDefault()
          void submit()
        }}
      >
        {props.children}
        <PlanView
          plan={plan}
          error={error}
          fresh={fresh}
          waiting={problem ?? ''}
          {...(props.except ? { except: props.except } : {})}
        />
        {props.options}
        {props.typed !== undefined && (
          <TextInput
            label={`Type ${props.typed} to confirm`}
            description="This can’t be undone."
            value={confirmed}
            spellCheck={false}
            autoComplete="off"
            autoCapitalize="none"
            onChange={(event) => setConfirmed(event.currentTarget.value)}
          />
        )}
        <div className={dialog['foot']}>
          {work.isError && <ErrorNotice what={failure} error={work.error} />}
          <div className={dialog['actions']}>
            <Button variant="default" size="sm" onClick={onClose} data-autofocus={!props.children}>
              Cancel
            </Button>
            <ActionButton type="submit" danger={danger} loading={work.isPending} reason={reason}>
              {confirm}
            </ActionButton>
          </div>
        </div>
      </form>
    </Dialog>
  )
}
