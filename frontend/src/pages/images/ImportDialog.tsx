import { Button, TextInput } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import { useImportImage } from '../../api/images.js'
import dialog from '../../components/Dialog.module.css'
import { ErrorNotice } from '../../components/ErrorNotice.js'
import { toastDone } from '../../components/toast.js'
import { AboutImageFields } from './AboutImageFields.js'
import { aboutFromFileName, NEW_IMAGE, problemsWithImage } from './about-image.js'
import classes from './Images.module.css'
import { Dialog } from '../../components/Dialog.js'

/** A file that lies on the server already becomes an image; the file itself stays as it is. */
export function ImportDialog({ onClose }: { onClose: () => void }) {
  const start = useImportImage()
  const [path, setPath] = useState('')
  const [about, setAbout] = useState(NEW_IMAGE)
  const [problems, setProblems] = useState<Record<string, string>>({})

  const submit = (event: FormEvent) => {
    event.preventDefault()
    const found = { ...problemsWithImage(about), ...(path.trim() ? {} : { path: 'Name the file' }) }
    setProblems(found)
    if (Object.keys(found).length > 0) return
    start.mutate(
      { ...about, path: path.trim() },
      {
        onSuccess: () => {
          toastDone(`Importing ${about.title}; see tasks`)
          onClose()
        },
      },
    )
  }

  return (
    <Dialog onClose={onClose} title="Import from the server" width={620}>
      <form onSubmit={submit} className={classes['form']} noValidate>
        <TextInput
          label="File on the server"
          description="qcow2 or raw, in one of the folders that SANDLABX_IMPORT_FOLDERS names. It is copied; the original stays."
          placeholder="/srv/images/debian-lab.qcow2"
          value={path}
          data-autofocus
          spellCheck={false}
          error={problems['path']}
          onChange={(event) => setPath(event.currentTarget.value)}
          onBlur={() => {
            const name = path.split('/').at(-1) ?? ''
            if (name && about.id === '') setAbout({ ...about, ...aboutFromFileName(name) })
          }}
        />
        <AboutImageFields about={about} problems={problems} onChange={setAbout} />
        {start.isError && <ErrorNotice what="The import did not begin" error={start.error} />}
        <div className={dialog['actions']}>
          <Button variant="default" size="sm" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" size="sm" loading={start.isPending}>
            Import the image
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
