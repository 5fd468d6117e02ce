import type { NodeView } from '@domain/node.js'
import { CUT_WORDS, recordingFormat, type Recording } from '@domain/recording.js'
import { ActionIcon, Tooltip } from '@mantine/core'
import { IconDownload, IconTrash } from '@tabler/icons-react'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { useMay } from '../../api/current-user.js'
import { recordingDataUrl, useDeleteRecording, useNodeRecordings } from '../../api/recordings.js'
import { useLabSettings } from '../../api/storage.js'
import { useUsers } from '../../api/users.js'
import { ConfirmDialog } from '../../components/ConfirmDialog.js'
import { ErrorNotice } from '../../components/ErrorNotice.js'
import { RelativeTime } from '../../components/RelativeTime.js'
import table from '../../components/Table.module.css'
import { formatSize } from '../../util/size.js'
import { elapsed } from '../../util/time.js'
import { useNow } from '../../util/use-now.js'
import classes from './SessionsTab.module.css'

/** When the node's consoles were recorded, for those who may also for a replay. */
export function Recordings({ node }: { node: NodeView }) {
  const may = useMay()
  const users = useUsers({ enabled: may('user.list') })
  const recordings = useNodeRecordings(node.id)
  const settings = useLabSettings()
  const [going, setGoing] = useState<Recording>()
  const ownerRole = users.data?.find(({ id }) => id === node.ownerId)?.role
  const mayReplay = may('recording.replay', { ownerId: node.ownerId, ownerRole })
  const all = recordings.data ?? []
  const isOn = node.recording ?? settings.data?.recordConsoles ?? false
  if (all.length === 0 && !isOn) return recordings.error ? <Unread error={recordings.error} /> : null
  return (
    <section className={classes['part']} aria-labelledby="recordings">
      <h2 id="recordings">Recordings</h2>
      <p className={classes['about']}>
        {isOn
          ? 'What consoles of this node show is recorded while somebody has one open, and each of them says so. '
          : 'Consoles of this node are not recorded now. '}
        What people type is never recorded. Instructors and administrators may replay and delete recordings; every
        replay is written down.
        {settings.data?.recordingDays && ` They are removed after ${settings.data.recordingDays} days.`}
      </p>
      {recordings.error && <Unread error={recordings.error} />}
      {all.length > 0 && (
        <div className={`${table['scroll']} ${table['stack']}`}>
          <table className={table['table']} aria-labelledby="recordings">
            <thead>
              <tr>
                <th>What</th>
                <th>Began</th>
                <th>Who was there</th>
                <th>Length</th>
                <th>Size</th>
                {mayReplay && <th aria-label="Actions" />}
              </tr>
            </thead>
            <tbody>
              {all.map((recording) => (
                <Row key={recording.id} recording={recording} mayReplay={mayReplay} onDelete={setGoing} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {going && <DeleteDialog recording={going} onClose={() => setGoing(undefined)} />}
    </section>
  )
}

const Unread = ({ error }: { error: Error }) => <ErrorNotice what="The recordings could not be read" error={error} />

interface RowProps {
  recording: Recording
  mayReplay: boolean
  onDelete: (recording: Recording) => void
}

function Row({ recording, mayReplay, onDelete }: RowProps) {
  const { id, kind, startedAt, endedAt, people, sizeBytes, cut } = recording
  const now = useNow(10_000)
  const length = elapsed((endedAt === null ? now : Date.parse(endedAt)) - Date.parse(startedAt))
  const busy = endedAt === null ? 'It is still going on.' : null
  return (
    <tr>
      <td data-lead className={table['strong']}>
        {mayReplay ? (
          <Link to="/recordings/$recordingId" params={{ recordingId: id }}>
            {KINDS[kind]}
          </Link>
        ) : (
          KINDS[kind]
        )}
      </td>
      <td data-label="Began" className={table['nowrap']}>
        <RelativeTime at={startedAt} />
      </td>
      <td data-label="Who was there">{[...new Set(people.map(({ login }) => login))].join(', ')}</td>
      <td data-label="Length" className={table['nowrap']}>
        {endedAt === null ? `for ${length}, going on` : length}
        {cut && <span className={table['sub']}>ends early: {CUT_WORDS[cut]}</span>}
      </td>
      <td data-label="Size" className={table['nowrap']}>
        {formatSize(sizeBytes)}
      </td>
      {mayReplay && (
        <td className={table['end']} data-corner aria-label="Actions">
          <span className={table['actions']}>
            <Tooltip label={`Download as .${recordingFormat(kind)}`}>
              <ActionIcon
                component="a"
                href={recordingDataUrl(id)}
                download
                variant="subtle"
                color="gray"
                aria-label={`Download the recording of ${startedAt}`}
              >
                <IconDownload size={15} stroke={1.6} />
              </ActionIcon>
            </Tooltip>
            <Tooltip label={busy ?? 'Delete'}>
              <ActionIcon
                variant="subtle"
                color="gray"
                aria-label={`Delete the recording of ${startedAt}`}
                aria-disabled={busy !== null}
                data-disabled={busy !== null}
                onClick={() => busy === null && onDelete(recording)}
              >
                <IconTrash size={15} stroke={1.6} />
              </ActionIcon>
            </Tooltip>
          </span>
        </td>
      )}
    </tr>
  )
}

const KINDS = { serial: 'Serial', screen: 'Screen', ssh: 'SSH' } as const

function DeleteDialog({ recording, onClose }: { recording: Recording; onClose: () => void }) {
  const remove = useDeleteRecording()
  return (
    <ConfirmDialog
      title="Delete this recording?"
      confirm="Delete the recording"
      danger
      busy={remove.isPending}
      failure={remove.isError ? { what: 'It was not deleted', error: remove.error } : null}
      onConfirm={() => remove.mutate(recording.id, { onSuccess: onClose })}
      onClose={onClose}
    >
      <p>It is gone for good: recordings do not go to the trash. Who had consoles open stays in the list below.</p>
    </ConfirmDialog>
  )
}
