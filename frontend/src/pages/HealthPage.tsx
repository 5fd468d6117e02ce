import { type HealthCheck, worstFirst } from '@domain/health.js'
import { Button, Skeleton } from '@mantine/core'
import { IconArrowRight, IconRefresh } from '@tabler/icons-react'
import { Link } from '@tanstack/react-router'
import { useMay } from '../api/current-user.js'
import { useHealth } from '../api/health.js'
import { useSafeMode } from '../api/system.js'
import { ErrorNotice } from '../components/ErrorNotice.js'
import { Mark } from '../components/Mark.js'
import type { Shape, Tone } from '../components/node-status.js'
import { PageHeader } from '../components/PageHeader.js'
import { SafeModeNotice } from '../components/SafeModeNotice.js'
import { Words } from '../components/Words.js'
import { readRecovery } from '../util/recovery.js'
import { NotFoundPage } from './NotFoundPage.js'
import classes from './HealthPage.module.css'

const FACES: Record<HealthCheck['state'], { word: string; tone: Tone; shape: Shape }> = {
  ok: { word: 'Well', tone: 'run', shape: 'dot' },
  warning: { word: 'Needs attention', tone: 'warn', shape: 'triangle' },
  failed: { word: 'Failed', tone: 'bad', shape: 'cross' },
}

/** What matters, worst first, in plain words, each with its one next step. */
export function HealthPage() {
  const may = useMay()
  const safeMode = useSafeMode()
  const health = useHealth({ enabled: may('health.readDetails') })
  if (!may('health.readDetails')) return <NotFoundPage />
  const checks = worstFirst(health.data?.checks ?? [])
  return (
    <div className={classes['page']}>
      <PageHeader
        title="Health"
        description={health.data && `${summary(checks)} SandLabX ${health.data.version}.`}
        actions={
          <Button
            variant="default"
            size="sm"
            leftSection={<IconRefresh size={15} stroke={1.75} aria-hidden />}
            loading={health.isFetching}
            onClick={() => void health.refetch()}
          >
            Look again
          </Button>
        }
      />
      {safeMode && <SafeModeNotice refusal={safeMode} />}
      {health.isError && <ErrorNotice what="The server could not be asked how it is" error={health.error} />}
      {health.isPending && <Skeleton height={360} />}
      {checks.length > 0 && (
        <ul className={classes['checks']}>
          {checks.map((check) => (
            <Check key={check.id} check={check} />
          ))}
        </ul>
      )}
    </div>
  )
}

function Check({ check }: { check: HealthCheck }) {
  const { word, tone, shape } = FACES[check.state]
  return (
    <li className={classes['check']} data-state={check.state}>
      <span className={classes['sign']}>
        <Mark shape={shape} tone={tone} />
        <span className="visually-hidden">{word}: </span>
      </span>
      <h2>{check.title}</h2>
      <div className={classes['words']}>
        {check.id === 'recovery' ? (
          <Recovery message={check.message} />
        ) : (
          <p>
            <Words>{check.message}</Words>
          </p>
        )}
        {check.hint && (
          <p className={classes['hint']}>
            <IconArrowRight size={14} stroke={1.75} aria-hidden />
            <span>
              <Words>{check.hint}</Words>
            </span>
          </p>
        )}
      </div>
    </li>
  )
}

/** What the last start found half done: one line for each way that it ended. */
function Recovery({ message }: { message: string }) {
  const { opening, endings } = readRecovery(message)
  return (
    <>
      <p>{opening}</p>
      {endings.length > 0 && (
        <>
          <ul className={classes['endings']}>
            {endings.map((ending) => (
              <li key={ending}>{ending}</li>
            ))}
          </ul>
          <p>
            <Link to="/operations" search={{ state: 'trouble' }}>
              See these operations
            </Link>
          </p>
        </>
      )}
    </>
  )
}

function summary(checks: readonly HealthCheck[]): string {
  const failed = checks.filter((check) => check.state === 'failed').length
  const warnings = checks.filter((check) => check.state === 'warning').length
  if (failed + warnings === 0) return 'Everything that was looked at is well.'
  const parts = [
    failed > 0 && `${failed} failed`,
    warnings > 0 && `${warnings} ${warnings === 1 ? 'needs' : 'need'} attention`,
  ]
  return `${parts.filter(Boolean).join(', ')}, ${checks.length - failed - warnings} well.`
}
