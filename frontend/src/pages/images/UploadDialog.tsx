import { Button } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import { useImportUpload } from '../../api/images.js'
import { useUpload } from '../../api/uploads.js'
import { ActionButton } from '../../components/ActionButton.js'
import dialog from '../../components/Dialog.module.css'
import { ErrorNotice } from '../../components/ErrorNotice.js'
import { toastDone } from '../../components/toast.js'
import { AboutImageFields } from './AboutImageFields.js'
import { aboutFromFileName, NEW_IMAGE, problemsWithImage } from './about-image.js'
import { FileDrop } from './FileDrop.js'
import classes from './Images.module.css'
import { UploadProgress } from './UploadProgress.js'
import { Dialog } from '../../components/Dialog.js'

/** A file of one's own becomes an image: it is sent while one fills in what it is. */
export function UploadDialog({ onClose }: { onClose: () => void }) {
  const upload = useUpload()
  const finish = useImportUpload()
  const [file, setFile] = useState<File>()
  const [about, setAbout] = useState(NEW_IMAGE)
  const [problems, setProblems] = useState<Record<string, string>>({})
  const { state, uploadId } = upload.state

  const choose = (chosen: File) => {
    setFile(chosen)
    setAbout({ ...about, ...aboutFromFileName(chosen.name) })
    void upload.start(chosen)
  }
  const forget = () => {
    upload.discard()
    setFile(undefined)
  }
  const submit = (event: FormEvent) => {
    event.preventDefault()
    const found = problemsWithImage(about)
    setProblems(found)
    if (Object.keys(found).length > 0 || !uploadId) return
    finish.mutate(
      { ...about, uploadId },
      {
        onSuccess: () => {
          toastDone(`Checking ${about.title}; see tasks`)
          onClose()
        },
      },
    )
  }

  const notYet = !file ? 'Choose a file first.' : state === 'done' ? null : 'The file has not been sent completely yet.'
  return (
    <Dialog onClose={onClose} title="Upload an image" width={620} easyToClose={false}>
      <form onSubmit={submit} className={classes['form']} noValidate>
        {file ? <UploadProgress file={file} upload={upload} onForget={forget} /> : <FileDrop onFile={choose} />}
        <AboutImageFields about={about} problems={problems} onChange={setAbout} />
        {finish.isError && <ErrorNotice what="The file did not become an image" error={finish.error} />}
        <div className={dialog['actions']}>
          <Button variant="default" size="sm" onClick={onClose}>
            {state === 'sending' ? 'Stop and close' : 'Close'}
          </Button>
          <ActionButton type="submit" loading={finish.isPending} reason={notYet}>
            Make it an image
          </ActionButton>
        </div>
      </form>
    </Dialog>
  )
}
