import type { ImageView } from '@domain/image.js'
import { formatMemory, formatSize } from '../../util/size.js'
import { useFocusOnMount } from '../../util/use-focus-on-mount.js'
import classes from './ImagePicker.module.css'

interface Props {
  images: readonly ImageView[]
  value: string
  /** The chosen one has the focus at first. */
  focus?: boolean
  onChange: (id: string) => void
}

/** Radio buttons that say what an image is, how big it is and how one gets in. */
export function ImagePicker({ images, value, focus = true, onChange }: Props) {
  const chosen = useFocusOnMount<HTMLInputElement>()
  return (
    <fieldset className={classes['picker']}>
      <legend>Image</legend>
      <div className={classes['list']}>
        {images.map((image) => (
          <label key={image.id} className={classes['image']} data-chosen={image.id === value || undefined}>
            <input
              type="radio"
              name="image"
              value={image.id}
              ref={focus && image.id === value ? chosen : null}
              checked={image.id === value}
              onChange={() => onChange(image.id)}
            />
            <span className={classes['title']}>{image.title}</span>
            <span className={classes['version']}>{image.version}</span>
            <span className={classes['facts']}>
              {formatSize(image.virtualSizeBytes)} disk · from {formatMemory(image.minimumMemoryMib)} memory
              {image.firmware === 'uefi' && ' · UEFI'}
            </span>
            {image.id === value && image.loginNotes && <span className={classes['notes']}>{image.loginNotes}</span>}
          </label>
        ))}
      </div>
    </fieldset>
  )
}
