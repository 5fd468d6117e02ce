import type { NodeView } from '@domain/node.js'
import { type SnapshotSchedule, snapshotScheduleSchema } from '@domain/snapshot.js'
import { type FormEvent, useState } from 'react'
import { useSetSchedule } from '../../api/disks.js'
import { useLabSettings } from '../../api/storage.js'
import { ActionButton } from '../../components/ActionButton.js'
import { ErrorNotice } from '../../components/ErrorNotice.js'
import { RadioCards } from '../../components/RadioCards.js'
import { Section } from '../../components/Section.js'
import { toastDone } from '../../components/toast.js'
import { ScheduleFields, scheduleWords } from '../../snapshots/ScheduleFields.js'
import classes from './SnapshotsTab.module.css'

const BEGINNING: SnapshotSchedule = { hourly: 0, daily: 7, weekly: 0 }

/** Automatic snapshots of this node: as the whole lab has them, or its own. */
export function ScheduleSetting({ node }: { node: NodeView }) {
  const save = useSetSchedule(node.id)
  const settings = useLabSettings()
  const [own, setOwn] = useState(node.snapshotSchedule !== null)
  const [schedule, setSchedule] = useState(node.snapshotSchedule ?? BEGINNING)
  const next = own ? schedule : null
  const same = JSON.stringify(next) === JSON.stringify(node.snapshotSchedule)
  const lab = settings.data ? scheduleWords(settings.data.snapshotSchedule) : '…'

  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (same || (next && !snapshotScheduleSchema.safeParse(next).success)) return
    save.mutate(next, { onSuccess: () => toastDone('Saved') })
  }

  return (
    <Section
      title="Automatic snapshots"
      description="Taken by themselves while the node is there; the oldest of each kind go when their number is full."
    >
      <form onSubmit={submit} className={classes['form']} noValidate>
        <RadioCards
          legend="Schedule"
          name="schedule"
          wide
          value={own ? 'own' : 'lab'}
          onChange={(value) => setOwn(value === 'own')}
          options={[
            { value: 'lab', title: 'As the whole lab', text: `Now: ${lab}.` },
            { value: 'own', title: 'Its own', text: own ? `Keeps ${scheduleWords(schedule)}.` : 'Set here.' },
          ]}
        />
        {own && <ScheduleFields value={schedule} onChange={setSchedule} />}
        {save.isError && <ErrorNotice what="The schedule was not saved" error={save.error} />}
        <div>
          <ActionButton
            type="submit"
            variant="default"
            loading={save.isPending}
            reason={same ? 'Nothing has been changed.' : null}
          >
            Save the schedule
          </ActionButton>
        </div>
      </form>
    </Section>
  )
}
