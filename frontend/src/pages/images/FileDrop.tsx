import { IconUpload } from '@tabler/icons-react'
import { type DragEvent, useRef, useState } from 'react'
import classes from './FileDrop.module.css'

/** Drop a file or choose one. */
export function FileDrop({ onFile }: { onFile: (file: File) => void }) {
  const [over, setOver] = useState(false)
  const field = useRef<HTMLInputElement>(null)
  const drop = (event: DragEvent) => {
    event.preventDefault()
    setOver(false)
    const [file] = event.dataTransfer.files
    if (file) onFile(file)
  }
  return (
    <>
      <button
        type="button"
        data-autofocus
        className={classes['drop']}
        data-over={over || undefined}
        onClick={() => field.current?.click()}
        onDragOver={(event) => {
          event.preventDefault()
          setOver(true)
        }}
        onDragLeave={() => setOver(false)}
        onDrop={drop}
      >
        <IconUpload size={20} stroke={1.5} aria-hidden />
        <span className={classes['words']}>
          <strong>Choose a qcow2 or raw file</strong>, or drop it here
        </span>
        <span className={classes['note']}>Sending can be paused, and goes on where it stopped.</span>
      </button>
      <input
        ref={field}
        type="file"
        hidden
        accept=".qcow2,.img,.raw"
        onChange={(event) => {
          const file = event.currentTarget.files?.[0]
          if (file) onFile(file)
        }}
      />
    </>
  )
}
