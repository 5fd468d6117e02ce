import type { VerifyLevel, VerifyReport } from '@domain/storage.js'
import { SegmentedControl } from '@mantine/core'
import { IconShieldCheck } from '@tabler/icons-react'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { useMay } from '../../api/current-user.js'
import { useOperations } from '../../api/operations.js'
import { useLabSettings, useNewestReport } from '../../api/storage.js'
import { useWork } from '../../api/work.js'
import { ActionButton } from '../../components/ActionButton.js'
import { EmptyState } from '../../components/EmptyState.js'
import { ErrorNotice } from '../../components/ErrorNotice.js'
import { Mark } from '../../components/Mark.js'
import { RelativeTime } from '../../components/RelativeTime.js'
import { TableSkeleton } from '../../components/TableSkeleton.js'
import { toastError } from '../../components/toast.js'
import { CancelOperation } from '../../operations/CancelOperation.js'
import { OperationProgress } from '../../operations/OperationProgress.js'
import { Findings } from '../../verify/Findings.js'
import { LEVEL_WORDS, LEVELS, reportWords } from '../../verify/levels.js'
import classes from './Storage.module.css'
import verify from './VerifyPanel.module.css'

/** Looks at all storage, by hand or by night, and offers to mend what it finds. */
export function VerifyPanel() {
  const may = useMay()
  const report = useNewestReport()
  const operations = useOperations()
  const work = useWork()
  const [level, setLevel] = useState<VerifyLevel>('chain')
  const running = operations.data?.find(({ kind, state }) => kind === 'storage.verify' && state === 'running')
  const begin = () =>
    work.mutate(
      { method: 'POST', path: 'storage/verify', body: { level } },
      { onError: (error) => toastError('The storage was not verified', error) },
    )

  return (
    <section className={classes['section']} aria-label="Verify">
      {may('storage.manage') && (
        <div className={verify['begin']}>
          <SegmentedControl
            size="sm"
            aria-label="How closely"
            value={level}
            onChange={(value) => setLevel(value)}
            data={LEVELS.map(({ value, title }) => ({ value, label: title }))}
          />
          <ActionButton
            leftSection={<IconShieldCheck size={16} stroke={1.75} aria-hidden />}
            loading={work.isPending}
            reason={running ? 'It is being looked at right now.' : null}
            onClick={begin}
          >
            Verify everything
          </ActionButton>
          <p className={verify['about']}>{LEVELS.find(({ value }) => value === level)?.text}</p>
        </div>
      )}
      {running && (
        <div className={verify['running']}>
          <OperationProgress operation={running} />
          <CancelOperation operation={running} />
        </div>
      )}
      {report.isError && <ErrorNotice what="The last report could not be read" error={report.error} />}
      {report.isPending && <TableSkeleton rows={3} />}
      {report.data === null && !running && (
        <EmptyState icon={<IconShieldCheck size={22} stroke={1.5} />} title="Nothing has been verified yet">
          Verifying reads what lies on the disk and compares it with the records. It changes nothing.
        </EmptyState>
      )}
      {report.data && (
        <>
          <LastReport report={report.data} />
          <Findings report={report.data} />
        </>
      )}
      <Nightly />
    </section>
  )
}

function LastReport({ report }: { report: VerifyReport }) {
  return (
    <p className={verify['verdict']} data-ok={report.ok || undefined}>
      <Mark shape={report.ok ? 'dot' : 'cross'} tone={report.ok ? 'run' : 'bad'} />
      <strong>{reportWords(report)}</strong>
      <span>
        <RelativeTime at={report.at} />, {LEVEL_WORDS[report.level]}
      </span>
    </p>
  )
}

function Nightly() {
  const may = useMay()
  const settings = useLabSettings()
  if (!settings.data) return null
  const { verifyHour } = settings.data
  return (
    <p className={verify['nightly']}>
      {verifyHour === null
        ? 'It is not verified by itself.'
        : `It is verified by itself each night at ${String(verifyHour).padStart(2, '0')}:00 of the server’s time.`}{' '}
      {may('settings.manage') && (
        <Link to="/storage" search={{ tab: 'settings' }} replace>
          Change this
        </Link>
      )}
    </p>
  )
}
