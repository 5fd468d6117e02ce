import { Skeleton } from '@mantine/core'
import { useImages } from '../../../api/images.js'
import { Dialog } from '../../../components/Dialog.js'
import { ErrorNotice } from '../../../components/ErrorNotice.js'
import { NoNodes } from '../NoNodes.js'
import { CreateManyForm } from './CreateManyForm.js'

/** One template, many nodes: by a pattern and a number, or by a list of names and people. */
export function CreateManyDialog({ onClose }: { onClose: () => void }) {
  const images = useImages()
  const empty = images.data?.images.length === 0
  return (
    <Dialog onClose={onClose} title="New nodes, many at once" width={empty ? 480 : 980} easyToClose={false}>
      {images.isPending && <Skeleton height={420} />}
      {images.isError && <ErrorNotice what="The images could not be read" error={images.error} />}
      {empty && <NoNodes />}
      {images.data && !empty && <CreateManyForm images={images.data.images} onClose={onClose} />}
    </Dialog>
  )
}
