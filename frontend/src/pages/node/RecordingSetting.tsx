import type { NodeView } from '@domain/node.js'
import { Select } from '@mantine/core'
import { useCurrentUser, useMay } from '../../api/current-user.js'
import { useUpdateNode } from '../../api/nodes.js'
import { useLabSettings } from '../../api/storage.js'
import { useUsers } from '../../api/users.js'
import { toastError } from '../../components/toast.js'
import classes from './InternetSetting.module.css'

/** Staff decide whether what its consoles show is recorded; its owner sees what was decided. */
export function RecordingSetting({ node }: { node: NodeView }) {
  const may = useMay()
  const me = useCurrentUser()
  const update = useUpdateNode(node.id)
  const settings = useLabSettings()
  const users = useUsers({ enabled: may('user.list') })
  const ownerRole = node.ownerId === me.id ? me.role : users.data?.find((user) => user.id === node.ownerId)?.role
  const byDefault = settings.data?.recordConsoles ?? false
  if (!may('node.record', { ownerId: node.ownerId, ownerRole })) {
    return (
      <p className={classes['state']}>
        {(node.recording ?? byDefault)
          ? 'What consoles of this node show is recorded; what you type is not. Instructors and administrators may replay it.'
          : 'Consoles of this node are not recorded.'}
      </p>
    )
  }
  return (
    <Select
      label="Record what its consoles show"
      description="Open consoles come back at once and say so. What people type is never recorded."
      data={[
        { value: 'lab', label: `As the lab’s settings say (${byDefault ? 'recorded' : 'not recorded'})` },
        { value: 'on', label: 'Recorded' },
        { value: 'off', label: 'Not recorded' },
      ]}
      value={node.recording === null ? 'lab' : node.recording ? 'on' : 'off'}
      allowDeselect={false}
      disabled={update.isPending}
      onChange={(value) =>
        update.mutate(
          { recording: value === 'lab' ? null : value === 'on' },
          { onError: (error) => toastError('Recording was not switched', error) },
        )
      }
    />
  )
}
