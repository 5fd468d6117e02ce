import type { NodeView } from '@domain/node.js'
import { Switch } from '@mantine/core'
import { useCurrentUser, useMay } from '../../api/current-user.js'
import { useUpdateNode } from '../../api/nodes.js'
import { useUsers } from '../../api/users.js'
import { toastError } from '../../components/toast.js'
import classes from './InternetSetting.module.css'

/** Staff decide whether a node reaches the internet; its owner sees what was decided. */
export function InternetSetting({ node }: { node: NodeView }) {
  const may = useMay()
  const me = useCurrentUser()
  const update = useUpdateNode(node.id)
  const users = useUsers({ enabled: may('user.list') })
  const ownerRole = node.ownerId === me.id ? me.role : users.data?.find((user) => user.id === node.ownerId)?.role
  if (!may('node.allowInternet', { ownerId: node.ownerId, ownerRole })) {
    return (
      <p className={classes['state']}>
        {node.internet
          ? 'This node may reach the internet.'
          : 'This node reaches nothing outside of this server. Ask your instructor when you need the internet.'}
      </p>
    )
  }
  return (
    <Switch
      label="May reach the internet"
      description="Takes effect at the next start"
      checked={node.internet}
      disabled={update.isPending}
      onChange={(event) =>
        update.mutate(
          { internet: event.currentTarget.checked },
          { onError: (error) => toastError('The network setting was not changed', error) },
        )
      }
    />
  )
}
