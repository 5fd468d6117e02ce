import { Button, Checkbox, TextInput } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import { useOperation } from '../api/operations.js'
import { type TestBootRequest, useTestBoot } from '../api/test-boots.js'
import { ActionButton } from '../components/ActionButton.js'
import { Dialog } from '../components/Dialog.js'
import dialog from '../components/Dialog.module.css'
import { ErrorNotice } from '../components/ErrorNotice.js'
import { CancelOperation } from '../operations/CancelOperation.js'
import { OperationProgress } from '../operations/OperationProgress.js'
import { TestBootResult } from './TestBootResult.js'

export type TestBootOf = Pick<TestBootRequest, 'nodeId' | 'snapshotId' | 'path'>

interface Props {
  /** What is booted, in words: `web-07`, `snapshot before-update`. */
  name: string
  of: TestBootOf
  onClose: () => void
}

/** Boots a disk in a machine that leaves nothing behind, and tells whether it came up. */
export function TestBootDialog({ name, of, onClose }: Props) {
  const [operationId, setOperationId] = useState<string>()
  return (
    <Dialog onClose={onClose} title={`Test boot of ${name}`} width={operationId ? 760 : 520} easyToClose={false}>
      {operationId ? (
        <Boot operationId={operationId} onClose={onClose} />
      ) : (
        <Begin name={name} of={of} onBegun={setOperationId} onClose={onClose} />
      )}
    </Dialog>
  )
}

function Begin({ name, of, onBegun, onClose }: Props & { onBegun: (operationId: string) => void }) {
  const boot = useTestBoot()
  const [pattern, setPattern] = useState(false)
  const [expect, setExpect] = useState('')
  const [seconds, setSeconds] = useState('180')
  const problem = problemOf(seconds, pattern ? expect : null)

  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (boot.isPending || problem) return
    boot.mutate(
      { ...of, timeoutSeconds: Number(seconds), ...(pattern ? { expect } : {}) },
      { onSuccess: ({ operation }) => onBegun(operation.id) },
    )
  }

  return (
    <form className={dialog['body']} onSubmit={submit} noValidate>
      <p>
        A machine starts from {name} and is gone when it has answered. Nothing is written to the disk; what the guest
        writes is thrown away.
      </p>
      <Checkbox
        checked={pattern}
        onChange={(event) => setPattern(event.currentTarget.checked)}
        label="Wait for a text of my own on the serial console"
        description="Otherwise for a login prompt."
      />
      {pattern && (
        <TextInput
          label="Text"
          description="A regular expression, such as “database system is ready”"
          value={expect}
          spellCheck={false}
          autoCapitalize="none"
          onChange={(event) => setExpect(event.currentTarget.value)}
        />
      )}
      <TextInput
        label="Wait at most"
        description="Seconds, 5 to 1800"
        inputMode="numeric"
        value={seconds}
        onChange={(event) => setSeconds(event.currentTarget.value)}
      />
      {boot.isError && <ErrorNotice what="The test boot was not begun" error={boot.error} />}
      <div className={dialog['actions']}>
        <Button variant="default" size="sm" onClick={onClose}>
          Cancel
        </Button>
        <ActionButton type="submit" loading={boot.isPending} reason={problem} data-autofocus>
          Boot it
        </ActionButton>
      </div>
    </form>
  )
}

function problemOf(seconds: string, expect: string | null): string | null {
  const figure = Number(seconds)
  if (!Number.isInteger(figure) || figure < 5 || figure > 1800) return 'Write a number of seconds from 5 to 1800.'
  if (expect === null) return null
  if (expect === '') return 'Write the text to wait for.'
  try {
    void new RegExp(expect)
    return null
  } catch {
    return 'That text is not a regular expression.'
  }
}

function Boot({ operationId, onClose }: { operationId: string; onClose: () => void }) {
  const { data: operation } = useOperation(operationId)
  const running = operation?.state === 'running'
  return (
    <div className={dialog['body']}>
      {running && <OperationProgress operation={operation} />}
      {running && <p className={dialog['soft']}>You may close this: the report stays with its task.</p>}
      {operation && !running && <TestBootResult operation={operation} />}
      <div className={dialog['actions']}>
        {running && <CancelOperation operation={operation} size="sm" />}
        <Button size="sm" variant={running ? 'default' : 'filled'} onClick={onClose}>
          Close
        </Button>
      </div>
    </div>
  )
}
