import { type NodeView, nodeNameSchema } from '@domain/node.js'
import { TextInput } from '@mantine/core'
import { IconCheck, IconPencil, IconX } from '@tabler/icons-react'
import { type FormEvent, useState } from 'react'
import { useUpdateNode } from '../../api/nodes.js'
import { IconAction } from '../../components/ActionButton.js'
import { problemsOf } from '../../util/validate.js'
import classes from './EditableName.module.css'

/** The node's name as the page's title; a click on the pencil makes it a field. */
export function EditableName({ node }: { node: NodeView }) {
  const update = useUpdateNode(node.id)
  const [draft, setDraft] = useState<string>()
  const [problem, setProblem] = useState<string>()

  if (draft === undefined) {
    return (
      <div className={classes['name']}>
        <h1>{node.name}</h1>
        <IconAction label="Rename" reason={node.actions.rename} size={26} onClick={() => setDraft(node.name)}>
          <IconPencil size={15} stroke={1.6} />
        </IconAction>
      </div>
    )
  }

  const submit = (event: FormEvent) => {
    event.preventDefault()
    const found = problemsOf(nodeNameSchema, draft)['']
    setProblem(found)
    if (found) return
    if (draft === node.name) setDraft(undefined)
    else update.mutate({ name: draft }, { onSuccess: () => setDraft(undefined) })
  }

  return (
    <form className={classes['form']} onSubmit={submit} noValidate>
      <TextInput
        aria-label="Name of the node"
        value={draft}
        autoFocus
        spellCheck={false}
        autoCapitalize="none"
        error={problem ?? (update.isError ? update.error.message : undefined)}
        onChange={(event) => setDraft(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Escape') setDraft(undefined)
        }}
      />
      <IconAction label="Save the name" size={30} loading={update.isPending} onClick={submit}>
        <IconCheck size={16} />
      </IconAction>
      <IconAction label="Keep the old name (Esc)" size={30} onClick={() => setDraft(undefined)}>
        <IconX size={16} />
      </IconAction>
    </form>
  )
}
