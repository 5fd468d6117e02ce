import { type NodeView, updateNodeSchema } from '@domain/node.js'
import { MIB } from '@domain/units.js'
import { type FormEvent, useState } from 'react'
import { useUpdateNode } from '../../api/nodes.js'
import { ActionButton } from '../../components/ActionButton.js'
import { CountField } from '../../components/CountField.js'
import { ErrorNotice } from '../../components/ErrorNotice.js'
import { SizeField } from '../../components/SizeField.js'
import { toastDone } from '../../components/toast.js'
import { problemsOf } from '../../util/validate.js'
import { MEMORY_STEPS } from '../../util/sizes.js'
import classes from './ResourcesForm.module.css'

const SMALLEST_MEMORY = 64 * MIB

/** CPUs and memory; refused, with the reason, while the node runs. */
export function ResourcesForm({ node }: { node: NodeView }) {
  const update = useUpdateNode(node.id)
  const [cpus, setCpus] = useState(node.cpus)
  const [memory, setMemory] = useState(node.memoryMib * MIB)
  const [problems, setProblems] = useState<Record<string, string>>({})
  const refusal = node.actions.changeResources
  const same = cpus === node.cpus && Math.round(memory / MIB) === node.memoryMib

  const submit = (event: FormEvent) => {
    event.preventDefault()
    const change = { cpus, memoryMib: Math.round(memory / MIB) }
    const found = problemsOf(updateNodeSchema, change)
    setProblems(found)
    if (Object.keys(found).length > 0) return
    // Not mutate's own callback: a live event may have replaced this form before the answer comes.
    update.mutateAsync(change).then(
      () => toastDone(`${node.name} starts with this next time`),
      () => undefined, // shown below the fields
    )
  }

  return (
    <form onSubmit={submit} className={classes['form']} noValidate>
      <div className={classes['fields']}>
        <CountField
          label="CPUs"
          value={cpus}
          minimum={1}
          slideTo={8}
          maximum={64}
          disabled={Boolean(refusal)}
          error={problems['cpus']}
          onChange={setCpus}
        />
        <SizeField
          label="Memory"
          bytes={memory}
          steps={MEMORY_STEPS}
          minimum={SMALLEST_MEMORY}
          disabled={Boolean(refusal)}
          error={problems['memoryMib']}
          onChange={setMemory}
        />
      </div>
      {update.isError && <ErrorNotice what="Nothing was changed" error={update.error} />}
      <div>
        <ActionButton
          type="submit"
          loading={update.isPending}
          reason={refusal ?? (same ? 'These are the node’s CPUs and memory already.' : null)}
        >
          Save CPUs and memory
        </ActionButton>
      </div>
    </form>
  )
}
