import type { NodeView } from '@domain/node.js'
import { Skeleton } from '@mantine/core'
import { useState } from 'react'
import { useImages } from '../../api/images.js'
import { ErrorNotice } from '../../components/ErrorNotice.js'
import { CreateNodeForm } from './CreateNodeForm.js'
import { NoNodes } from './NoNodes.js'
import { NodeCreated } from './NodeCreated.js'
import { Dialog } from '../../components/Dialog.js'

interface Props {
  /** `yes`, or the id of the image to begin with. */
  begin: string
  onClose: () => void
}

export interface Created {
  node: NodeView
  /** Shown once; null when the guest has none or the person chose it. */
  guestPassword: string | null
}

/** From an image to a node: what it is called, how big it is, who signs in inside. */
export function CreateNodeDialog({ begin, onClose }: Props) {
  const images = useImages()
  const [created, setCreated] = useState<Created>()
  const title = created ? `${created.node.name} is created` : 'New node'
  const empty = images.data?.images.length === 0
  return (
    <Dialog onClose={onClose} title={title} width={created || empty ? 480 : 860} easyToClose={false}>
      {created && <NodeCreated created={created} onClose={onClose} />}
      {!created && images.isPending && <Skeleton height={320} />}
      {!created && images.isError && <ErrorNotice what="The images could not be read" error={images.error} />}
      {!created && empty && <NoNodes />}
      {!created && images.data && !empty && (
        <CreateNodeForm images={images.data.images} begin={begin} onCreated={setCreated} onCancel={onClose} />
      )}
    </Dialog>
  )
}
