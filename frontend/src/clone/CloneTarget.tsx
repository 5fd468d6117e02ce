import { expandNames } from '@domain/name-pattern.js'
import type { NodeView } from '@domain/node.js'
import { NumberInput, TextInput } from '@mantine/core'
import { useMay } from '../api/current-user.js'
import { OwnerPicker } from '../components/OwnerPicker.js'
import { namesInShort } from '../plan/names-in-short.js'
import { nameForCount } from '../util/name-pattern.js'
import { type CloneForm, MOST_AT_ONCE } from './clone-request.js'
import classes from './CloneNodeForm.module.css'

interface Props {
  node: NodeView
  form: CloneForm
  problems: Record<string, string>
  onChange: (change: Partial<CloneForm>) => void
}

/** How the clones are called, how many, and whose they are. */
export function CloneTarget({ node, form, problems, onChange }: Props) {
  const may = useMay()
  const { name, count, ownerId, elsewhere } = form
  const many = count > 1
  return (
    <>
      <div className={classes['names']}>
        <TextInput
          label={many ? 'Names' : 'Name'}
          description={many ? '{n} counts 1, 2, 3; {nn} counts 01, 02, 03' : 'Also the guest’s host name'}
          value={name}
          data-autofocus
          spellCheck={false}
          autoCapitalize="none"
          autoComplete="off"
          error={problems['name']}
          onChange={(event) => onChange({ name: event.currentTarget.value, replace: false })}
        />
        {!elsewhere && (
          <NumberInput
            label="How many"
            description={`Up to ${MOST_AT_ONCE}`}
            value={count}
            min={1}
            max={MOST_AT_ONCE}
            allowDecimal={false}
            allowNegative={false}
            clampBehavior="strict"
            error={problems['count']}
            onChange={(next) => {
              if (typeof next !== 'number' || next < 1) return
              onChange({ count: next, name: nameForCount(name, next), replace: false })
            }}
          />
        )}
      </div>
      {many && !problems['name'] && <p className={classes['note']}>{namesInShort(expandNames(name, count))}</p>}
      {may('node.createForOthers') && !elsewhere && (
        <OwnerPicker
          value={ownerId}
          keep={{ id: node.ownerId, login: node.ownerLogin }}
          onChange={(next) => onChange({ ownerId: next, replace: false })}
        />
      )}
    </>
  )
}
