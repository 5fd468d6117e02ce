import { type LabSettings, updateSettingsSchema, type UpdateSettings } from '@domain/settings.js'
import { Checkbox, Select, Skeleton, TextInput } from '@mantine/core'
import { type FormEvent, type ReactNode, useState } from 'react'
import { useLabSettings, useUpdateLabSettings } from '../../api/storage.js'
import { ActionButton } from '../../components/ActionButton.js'
import { ErrorNotice } from '../../components/ErrorNotice.js'
import { Section } from '../../components/Section.js'
import { toastDone } from '../../components/toast.js'
import { ScheduleFields } from '../../snapshots/ScheduleFields.js'
import { problemsOf } from '../../util/validate.js'
import classes from './LabSettingsForm.module.css'

/** What holds for the whole lab: how long the trash is kept, when storage is verified, automatic snapshots. */
export function LabSettingsForm() {
  const settings = useLabSettings()
  if (settings.isError) return <ErrorNotice what="The settings could not be read" error={settings.error} />
  if (!settings.data) return <Skeleton height={320} />
  return (
    <div>
      <TrashDays settings={settings.data} />
      <VerifyHour settings={settings.data} />
      <Schedule settings={settings.data} />
      <Recording settings={settings.data} />
      <HistoryDays settings={settings.data} />
    </div>
  )
}

function TrashDays({ settings }: { settings: LabSettings }) {
  const [never, setNever] = useState(settings.trashDays === null)
  const [days, setDays] = useState(String(settings.trashDays ?? 7))
  const change: UpdateSettings = { trashDays: never ? null : days.trim() === '' ? Number.NaN : Number(days) }
  const problem = problemsOf(updateSettingsSchema, change)['trashDays']
  return (
    <Section title="Trash" description="How long what was deleted or reset can be brought back.">
      <SaveForm
        change={change}
        same={change.trashDays === settings.trashDays}
        problem={problem && 'Write a whole number of days.'}
      >
        <TextInput
          label="Kept for (days)"
          inputMode="numeric"
          value={days}
          disabled={never}
          error={problem && 'A whole number of days, 0 to 3650'}
          onChange={(event) => setDays(event.currentTarget.value)}
        />
        <Checkbox
          label="Never remove anything by itself"
          description="The trash grows until somebody empties it."
          checked={never}
          onChange={(event) => setNever(event.currentTarget.checked)}
        />
      </SaveForm>
    </Section>
  )
}

const HOURS = [
  { value: 'never', label: 'Not by itself' },
  ...Array.from({ length: 24 }, (_hour, hour) => ({
    value: String(hour),
    label: `${String(hour).padStart(2, '0')}:00`,
  })),
]

function VerifyHour({ settings }: { settings: LabSettings }) {
  const [hour, setHour] = useState(settings.verifyHour === null ? 'never' : String(settings.verifyHour))
  const change: UpdateSettings = { verifyHour: hour === 'never' ? null : Number(hour) }
  return (
    <Section title="Nightly verify" description="Looks at all storage while nobody works. The result shows in Health.">
      <SaveForm change={change} same={change.verifyHour === settings.verifyHour}>
        <Select
          label="At"
          description="In the server’s time"
          data={HOURS}
          value={hour}
          onChange={(value) => setHour(value ?? 'never')}
        />
      </SaveForm>
    </Section>
  )
}

function Schedule({ settings }: { settings: LabSettings }) {
  const [schedule, setSchedule] = useState(settings.snapshotSchedule)
  const change: UpdateSettings = { snapshotSchedule: schedule }
  return (
    <Section
      title="Automatic snapshots"
      description="Of every node that has no schedule of its own. The newest are kept, older ones go by themselves."
    >
      <SaveForm change={change} same={JSON.stringify(schedule) === JSON.stringify(settings.snapshotSchedule)}>
        <ScheduleFields value={schedule} onChange={setSchedule} />
      </SaveForm>
    </Section>
  )
}

function Recording({ settings }: { settings: LabSettings }) {
  const [on, setOn] = useState(settings.recordConsoles)
  const [days, setDays] = useState(settings.recordingDays)
  const change: UpdateSettings = { recordConsoles: on, recordingDays: days }
  const problem = problemsOf(updateSettingsSchema, change)['recordingDays']
  return (
    <Section
      title="Recording consoles"
      description="What serial and Guacamole consoles show. Each of them says so; what people type is never recorded."
    >
      <SaveForm
        change={change}
        same={on === settings.recordConsoles && days === settings.recordingDays}
        problem={problem && 'Write a whole number of days.'}
      >
        <Checkbox
          label="Record every node that has no choice of its own"
          description="Tell your students before. Instructors and administrators may replay."
          checked={on}
          onChange={(event) => setOn(event.currentTarget.checked)}
        />
        <DaysField label="Recordings are kept for (days)" value={days} problem={problem} onChange={setDays} />
      </SaveForm>
    </Section>
  )
}

function HistoryDays({ settings }: { settings: LabSettings }) {
  const [days, setDays] = useState(settings.consoleHistoryDays)
  const change: UpdateSettings = { consoleHistoryDays: days }
  const problem = problemsOf(updateSettingsSchema, change)['consoleHistoryDays']
  return (
    <Section title="Console history" description="Who had which console open, from where and for how long.">
      <SaveForm
        change={change}
        same={days === settings.consoleHistoryDays}
        problem={problem && 'Write a whole number of days.'}
      >
        <DaysField label="Remembered for (days)" value={days} problem={problem} onChange={setDays} />
      </SaveForm>
    </Section>
  )
}

interface DaysProps {
  label: string
  value: number | null
  problem: string | undefined
  onChange: (days: number | null) => void
}

/** A number of days, or for ever. */
function DaysField({ label, value, problem, onChange }: DaysProps) {
  const [text, setText] = useState(String(value ?? 30))
  const read = (written: string) => (written.trim() === '' ? Number.NaN : Number(written))
  return (
    <>
      <TextInput
        label={label}
        inputMode="numeric"
        value={text}
        disabled={value === null}
        error={problem && 'A whole number of days, 1 to 3650'}
        onChange={(event) => {
          setText(event.currentTarget.value)
          onChange(read(event.currentTarget.value))
        }}
      />
      <Checkbox
        label="For ever"
        checked={value === null}
        onChange={(event) => onChange(event.currentTarget.checked ? null : read(text))}
      />
    </>
  )
}

interface SaveProps {
  change: UpdateSettings
  same: boolean
  problem?: string | undefined
  children: ReactNode
}

function SaveForm({ change, same, problem, children }: SaveProps) {
  const update = useUpdateLabSettings()
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (same || problem) return
    update.mutate(change, { onSuccess: () => toastDone('Saved') })
  }
  return (
    <form onSubmit={submit} className={classes['form']} noValidate>
      {children}
      {update.isError && <ErrorNotice what="This was not saved" error={update.error} />}
      <div>
        <ActionButton
          type="submit"
          loading={update.isPending}
          reason={problem ?? (same ? 'Nothing has been changed.' : null)}
        >
          Save
        </ActionButton>
      </div>
    </form>
  )
}
