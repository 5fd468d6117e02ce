import type { ImageView } from '@domain/image.js'
import { Button, Checkbox, SegmentedControl, Switch } from '@mantine/core'
import type { FormEvent } from 'react'
import { useCreateNodes } from '../../../api/clones.js'
import { useMay } from '../../../api/current-user.js'
import { ActionButton } from '../../../components/ActionButton.js'
import dialog from '../../../components/Dialog.module.css'
import { ErrorNotice } from '../../../components/ErrorNotice.js'
import { RadioCards } from '../../../components/RadioCards.js'
import { PlanView } from '../../../plan/PlanView.js'
import { useOpenTasks } from '../../../shell/tasks-state.js'
import { ImagePicker } from '../ImagePicker.js'
import { SizeFields } from '../SizeFields.js'
import { ByList } from './ByList.js'
import { ByPattern } from './ByPattern.js'
import classes from './CreateMany.module.css'
import { type BatchDraft, useBatchDraft } from './use-batch-draft.js'

export function CreateManyForm({ images, onClose }: { images: readonly ImageView[]; onClose: () => void }) {
  const create = useCreateNodes()
  const openTasks = useOpenTasks()
  const draft = useBatchDraft(images)
  const { form, change, request, refusal, count, plan, fresh } = draft

  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (create.isPending) return
    create.mutate(request, {
      onSuccess: () => {
        openTasks()
        onClose()
      },
    })
  }

  return (
    <form onSubmit={submit} className={classes['form']} noValidate>
      <Who draft={draft} />
      <Template draft={draft} images={images} />
      <footer className={classes['footer']}>
        {create.isError && <ErrorNotice what="The nodes were not created" error={create.error} />}
        <div className={dialog['actions']}>
          <Checkbox
            className={classes['start'] ?? ''}
            label="Start them right away"
            checked={form.start}
            onChange={(event) => change({ start: event.currentTarget.checked })}
          />
          <Button variant="default" size="sm" onClick={onClose}>
            Cancel
          </Button>
          <ActionButton
            type="submit"
            loading={create.isPending}
            reason={refusal ?? (fresh ? plan?.refusal?.message : null)}
          >
            Create {count} {count === 1 ? 'node' : 'nodes'}
          </ActionButton>
        </div>
      </footer>
    </form>
  )
}

/** Which nodes, for whom, and what that takes. */
function Who({ draft: { form, change, rows, owners, refusal, plan, error, fresh } }: { draft: BatchDraft }) {
  return (
    <div className={classes['fields']}>
      <SegmentedControl
        aria-label="How they are named"
        size="sm"
        value={form.how}
        onChange={(how) => change({ how: how === 'list' ? 'list' : 'pattern' })}
        data={[
          { value: 'pattern', label: 'A number of them' },
          { value: 'list', label: 'A list of names' },
        ]}
      />
      {form.how === 'pattern' ? (
        <ByPattern form={form} onChange={change} />
      ) : (
        <ByList form={form} rows={rows} people={owners} onChange={change} />
      )}
      <RadioCards
        legend="When one can’t be made"
        name="keep-going"
        wide
        value={form.keepGoing ? 'on' : 'all'}
        onChange={(value) => change({ keepGoing: value === 'on' })}
        options={[
          { value: 'all', title: 'All or none', text: 'What was made is taken back; nothing is left.' },
          { value: 'on', title: 'Keep going', text: 'The others are made; each failure says why.' },
        ]}
      />
      <PlanView plan={plan} error={error} fresh={fresh || refusal !== null} waiting={refusal ?? ''} />
    </div>
  )
}

/** What each of them is. */
function Template({ draft: { form, change, image }, images }: { draft: BatchDraft; images: readonly ImageView[] }) {
  const may = useMay()
  return (
    <div className={classes['template']}>
      <ImagePicker images={images} value={form.imageId} focus={false} onChange={(imageId) => change({ imageId })} />
      <SizeFields image={image} sizes={form.sizes} problems={{}} onChange={(sizes) => change({ sizes })} />
      {image?.cloudInit && (
        <p className={classes['note']}>
          Each guest gets an account with a password of its own. You can copy them once the nodes are made.
        </p>
      )}
      {may('node.allowInternet') && (
        <Switch
          label="May reach the internet"
          checked={form.internet}
          onChange={(event) => change({ internet: event.currentTarget.checked })}
        />
      )}
    </div>
  )
}
