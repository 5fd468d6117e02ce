import type { ImageView } from '@domain/image.js'
import { useDeleteImage } from '../../api/images.js'
import { ConfirmDialog } from '../../components/ConfirmDialog.js'
import { toastDone } from '../../components/toast.js'
import { formatSize } from '../../util/size.js'

export function DeleteImageDialog({ image, onClose }: { image: ImageView; onClose: () => void }) {
  const deletion = useDeleteImage()
  const again = image.origin === 'built' || image.origin === 'pulled'
  const confirm = async () => {
    try {
      await deletion.mutateAsync(image.id)
    } catch {
      return // shown in the dialog
    }
    toastDone(`${image.title} is deleted`)
    onClose()
  }

  return (
    <ConfirmDialog
      title={`Delete ${image.title}?`}
      confirm={`Delete ${image.title}`}
      danger
      busy={deletion.isPending}
      failure={deletion.isError ? { what: `${image.title} was not deleted`, error: deletion.error } : null}
      onConfirm={() => void confirm()}
      onClose={onClose}
    >
      <p>
        The file <code>{image.file}</code> goes and frees {formatSize(image.fingerprint.sizeBytes)}. No node uses it.
      </p>
      <p>
        {again
          ? 'You can get it again from this page.'
          : 'It can’t be brought back from here: keep the file you made it from.'}
      </p>
    </ConfirmDialog>
  )
}
