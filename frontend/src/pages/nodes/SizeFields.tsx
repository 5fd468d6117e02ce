import type { ImageView } from '@domain/image.js'
import { CountField } from '../../components/CountField.js'
import { SizeField } from '../../components/SizeField.js'
import { DISK_STEPS, MEMORY_STEPS } from '../../util/sizes.js'
import classes from './CreateNodeForm.module.css'
import { type Sizes, sizesFor } from './node-sizes.js'

interface Props {
  image: ImageView | undefined
  sizes: Sizes
  problems: Record<string, string>
  onChange: (sizes: Sizes) => void
}

/** CPUs, memory and disk of a new node. */
export function SizeFields({ image, sizes, problems, onChange }: Props) {
  const { memory, disk, minimumMemory, minimumDisk } = sizesFor(image, sizes)
  return (
    <>
      <div className={classes['sizes']}>
        <CountField
          label="CPUs"
          value={sizes.cpus}
          minimum={1}
          slideTo={8}
          maximum={64}
          error={problems['cpus']}
          onChange={(cpus) => onChange({ ...sizes, cpus })}
        />
        <SizeField
          label="Memory"
          bytes={memory}
          steps={MEMORY_STEPS}
          minimum={minimumMemory}
          error={problems['memoryMib']}
          onChange={(next) => onChange({ ...sizes, memory: next })}
        />
        <SizeField
          label="Disk"
          bytes={disk}
          steps={[minimumDisk, ...DISK_STEPS.filter((step) => step > minimumDisk)]}
          minimum={minimumDisk}
          error={problems['diskBytes']}
          onChange={(next) => onChange({ ...sizes, disk: next })}
        />
      </div>
      <p className={classes['note']}>A disk takes room on the server only as it fills.</p>
    </>
  )
}
