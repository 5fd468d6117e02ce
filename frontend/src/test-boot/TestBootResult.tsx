import type { Operation } from '@domain/operation.js'
import type { TestBootReport } from '@domain/test-boot.js'
import { formatDuration } from '@domain/units.js'
import { Skeleton } from '@mantine/core'
import { testBootScreenPath, useTestBootReport } from '../api/test-boots.js'
import { ErrorNotice } from '../components/ErrorNotice.js'
import { Mark } from '../components/Mark.js'
import { ScrollBox } from '../components/ScrollBox.js'
import { usePicture } from '../components/use-picture.js'
import { Words } from '../components/Words.js'
import classes from './TestBootResult.module.css'

/** How a test boot went: the verdict, its last screen, and the end of what the serial console said. */
export function TestBootResult({ operation }: { operation: Operation }) {
  const ended = operation.state !== 'running'
  const { data: report, error } = useTestBootReport(operation.id, ended)
  if (!ended) return null
  if (error) return <ErrorNotice what="The report could not be read" error={error} />
  if (!report) return <Skeleton height={240} />
  return (
    <div className={classes['report']}>
      <p className={classes['verdict']} data-state={report.state}>
        <Mark {...faceOf(report)} />
        <strong>{verdict(report)}</strong>
        {report.state !== 'success' && (
          <span>
            <Words>{report.message}</Words>
          </span>
        )}
      </p>
      {report.hasScreenshot && <Screen operationId={operation.id} title={report.title} />}
      {report.serialTail.length > 0 ? (
        <ScrollBox label="End of the serial console" className={classes['serial'] ?? ''}>
          <pre>{report.serialTail.join('\n')}</pre>
        </ScrollBox>
      ) : (
        <p className={classes['soft']}>The serial console said nothing.</p>
      )}
    </div>
  )
}

function Screen({ operationId, title }: { operationId: string; title: string }) {
  const url = usePicture(testBootScreenPath(operationId), 'once')
  return (
    <div className={classes['screen']}>{url && <img src={url} alt={`Last screen: ${title}`} draggable={false} />}</div>
  )
}

function faceOf({ state }: TestBootReport) {
  if (state === 'success') return { tone: 'run', shape: 'dot' } as const
  return state === 'failure' ? ({ tone: 'bad', shape: 'cross' } as const) : ({ tone: 'boot', shape: 'half' } as const)
}

const SEEN = { login: 'a login prompt', agent: 'an answer of the guest’s agent', text: 'the text' } as const

/** `It booted: a login prompt after 8.4 s.` */
export function verdict({ state, seen, tookMs }: Pick<TestBootReport, 'state' | 'seen' | 'tookMs'>): string {
  if (state === 'pending') return 'It is still booting.'
  if (state === 'failure') return 'It did not come up.'
  const what = seen ? SEEN[seen] : 'an answer'
  return tookMs === null ? `It booted: ${what}.` : `It booted: ${what} after ${formatDuration(tookMs)}.`
}
