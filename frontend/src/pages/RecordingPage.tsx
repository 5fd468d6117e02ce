import type { Recording } from '@domain/recording.js'
import { CUT_WORDS, recordingFormat } from '@domain/recording.js'
import { Skeleton } from '@mantine/core'
import { getRouteApi, Link } from '@tanstack/react-router'
import { lazy, Suspense, useMemo } from 'react'
import { ApiError } from '../api/client.js'
import { useRecordedScreen, useRecordedText, useRecording } from '../api/recordings.js'
import { ErrorNotice } from '../components/ErrorNotice.js'
import { Notice } from '../components/Notice.js'
import { PageHeader } from '../components/PageHeader.js'
import { RelativeTime } from '../components/RelativeTime.js'
import { parseCast } from '../recordings/cast.js'
import classes from './RecordingPage.module.css'
import { NotFoundPage } from './NotFoundPage.js'

const TextPlayer = lazy(async () => ({ default: (await import('../recordings/TextPlayer.js')).TextPlayer }))
const ScreenPlayer = lazy(async () => ({ default: (await import('../recordings/ScreenPlayer.js')).ScreenPlayer }))

const route = getRouteApi('/recordings/$recordingId')

/** One recording, played again. */
export function RecordingPage() {
  const { recordingId } = route.useParams()
  const recording = useRecording(recordingId)
  if (recording.error instanceof ApiError && recording.error.status === 404) return <NotFoundPage what="recording" />
  if (recording.isPending) return <Skeleton height={320} />
  if (!recording.data) return <ErrorNotice what="The recording could not be read" error={recording.error} />
  return <Replay recording={recording.data} />
}

function Replay({ recording }: { recording: Recording }) {
  const { nodeId, nodeName, kind, startedAt, people, cut, endedAt } = recording
  return (
    <div className={classes['page']}>
      <PageHeader
        title={`Recording of ${nodeName}`}
        description={
          <>
            {kind === 'screen' ? 'Its screen' : 'Its terminal'}, <RelativeTime at={startedAt} />, with{' '}
            {people.map(({ login }) => login).join(', ') || 'nobody'}. What was typed is not in it, only what was shown.{' '}
            <Link to="/nodes/$nodeId/sessions" params={{ nodeId }}>
              All of this node
            </Link>
          </>
        }
      />
      {endedAt === null && (
        <Notice tone="info">It is still going on; this is what there was when you opened it.</Notice>
      )}
      {cut && <Notice tone="warn">It ends early: {CUT_WORDS[cut]}.</Notice>}
      <Suspense fallback={<Skeleton height={320} />}>
        {recordingFormat(kind) === 'cast' ? <Text id={recording.id} /> : <Screen id={recording.id} />}
      </Suspense>
    </div>
  )
}

function Text({ id }: { id: string }) {
  const recorded = useRecordedText(id)
  const cast = useMemo(() => (recorded.data === undefined ? undefined : parsed(recorded.data)), [recorded.data])
  if (recorded.error) return <ErrorNotice what="The recording could not be read" error={recorded.error} />
  if (!cast) return <Skeleton height={320} />
  if (cast instanceof Error) return <ErrorNotice what="The recording is damaged" error={cast} />
  return <TextPlayer cast={cast} />
}

function parsed(text: string) {
  try {
    return parseCast(text)
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

function Screen({ id }: { id: string }) {
  const recorded = useRecordedScreen(id)
  if (recorded.error) return <ErrorNotice what="The recording could not be read" error={recorded.error} />
  if (!recorded.data) return <Skeleton height={320} />
  return <ScreenPlayer recorded={recorded.data} />
}
