import type { OperationPlan } from '@domain/plan.js'
import { RadioCards } from '../components/RadioCards.js'
import { namesInShort } from '../plan/names-in-short.js'
import { formatSize } from '../util/size.js'
import type { CloneForm } from './clone-request.js'
import classes from './CloneNodeForm.module.css'

interface Props {
  form: CloneForm
  /** Of what is asked: names what is replaced once that was chosen. */
  plan: OperationPlan | undefined
  onReplace: (replace: boolean) => void
  onOther: () => void
}

/** The name is taken: the one that has it goes, or the clone is called otherwise, or nothing happens. */
export function NameConflict({ form, plan, onReplace, onOther }: Props) {
  const replaced = form.replace ? (plan?.replaces ?? []) : []
  const bytes = replaced.reduce((sum, one) => sum + one.bytes, 0)
  const what =
    replaced.length > 0
      ? `${namesInShort(replaced.map(({ name }) => name))} (${formatSize(bytes)}) ${replaced[0]?.fate ?? ''}.`
      : 'The node that has the name now moves to the trash with its disk.'
  return (
    <div className={classes['conflict']} role="alert">
      <RadioCards
        legend={form.count > 1 ? 'Some of these names are taken' : `${form.name} exists already`}
        name="conflict"
        value={form.replace ? 'replace' : 'ask'}
        onChange={(choice) => (choice === 'other' ? onOther() : onReplace(choice === 'replace'))}
        options={[
          { value: 'other', title: 'Use another name', text: 'The next one that is free.' },
          { value: 'replace', title: 'Replace it', text: `${what} The clone takes its place.` },
        ]}
      />
    </div>
  )
}
