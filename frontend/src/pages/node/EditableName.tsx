import { type NodeView, nodeNameSchema } from '@domain/node.js'
import { TextInput } from '@mantine/core'
import { IconCheck, IconPencil, IconX } from '@tabler/icons-react'
import { type FormEvent, useState } from 'react'
import { useUpdateNode } from '../../api/nodes.js'
import { IconAction } from '../../components/ActionButton.js'
import { useFocusOnMount } from '../../util/use-focus-on-mount.js'
import { problemsOf } from '../../util/validate.js'
import classes from './EditableName.module.css'

/** The node's name as the page's title; a click on the pencil makes it a field. */
export function EditableName({ node }: { node: NodeView }) {
  const [editing, setEditing] = useState(false)
  if (editing) return <NameForm node={node} onDone={() => setEditing(false)} />
  return (
    <div className={classes['name']}>
      <h1>{node.name}</h1>
      <IconAction label="Rename" reason={node.actions.rename} size={26} onClick={() => setEditing(true)}>
        <IconPencil size={15} stroke={1.6} />
      </IconAction>
    </div>
  )
}

function NameForm({ node, onDone }: { node: NodeView; onDone: () => void }) {
  const update = useUpdateNode(node.id)
  const field = useFocusOnMount<HTMLInputElement>()
  const [draft, setDraft] = useState<string>(node.name)
  const [problem, setProblem] = useState<string>()

  const save = () => {
    const found = problemsOf(nodeNameSchema, draft)['']
    setProblem(found)
    if (found) return
    if (draft === node.name) onDone()
    else update.mutate({ name: draft }, { onSuccess: onDone })
  }
  const submit = (event: FormEvent) => {
    event.preventDefault()
    save()
  }

  return (
    <form className={classes['form']} onSubmit={submit} noValidate>
      <TextInput
        ref={field}
        aria-label="Name of the node"
        value={draft}
        spellCheck={false}
        autoCapitalize="none"
        error={problem ?? (update.isError ? update.error.message : undefined)}
        onChange={(event) => setDraft(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Escape') onDone()
        }}
      />
      <IconAction label="Save the name" size={30} loading={update.isPending} onClick={save}>
        <IconCheck size={16} />
      </IconAction>
      <IconAction label="Keep the old name (Esc)" size={30} onClick={onDone}>
        <IconX size={16} />
      </IconAction>
    </form>
  )
}
