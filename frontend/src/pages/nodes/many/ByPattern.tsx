import { expandNames } from '@domain/name-pattern.js'
import { NumberInput, TextInput } from '@mantine/core'
import { useMay } from '../../../api/current-user.js'
import { nameProblem } from '../../../clone/clone-request.js'
import { OwnerPicker } from '../../../components/OwnerPicker.js'
import { namesInShort } from '../../../plan/names-in-short.js'
import type { BatchForm } from './batch-request.js'
import classes from './CreateMany.module.css'
import { MOST_NODES } from './node-list.js'

interface Props {
  form: BatchForm
  onChange: (change: Partial<BatchForm>) => void
}

/** `web-{n}`, thirty times, for one person. */
export function ByPattern({ form, onChange }: Props) {
  const may = useMay()
  const problem = nameProblem(form.pattern, Math.max(form.count, 2))
  return (
    <>
      <div className={classes['names']}>
        <TextInput
          label="Names"
          description="{n} counts 1, 2, 3; {nn} counts 01, 02, 03"
          value={form.pattern}
          data-autofocus
          spellCheck={false}
          autoCapitalize="none"
          autoComplete="off"
          error={problem}
          onChange={(event) => onChange({ pattern: event.currentTarget.value })}
        />
        <NumberInput
          label="How many"
          description={`Up to ${MOST_NODES}`}
          value={form.count}
          min={1}
          max={MOST_NODES}
          allowDecimal={false}
          allowNegative={false}
          clampBehavior="strict"
          onChange={(count) => {
            if (typeof count === 'number') onChange({ count })
          }}
        />
      </div>
      {!problem && <p className={classes['note']}>{namesInShort(expandNames(form.pattern, form.count))}</p>}
      {may('node.createForOthers') && (
        <OwnerPicker value={form.ownerId} onChange={(ownerId) => onChange({ ownerId })} />
      )}
    </>
  )
}
