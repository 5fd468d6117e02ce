import { Button } from '@mantine/core'
import type { useUpload } from '../../api/uploads.js'
import { ErrorNotice } from '../../components/ErrorNotice.js'
import { ProgressBar } from '../../components/ProgressBar.js'
import { formatSize } from '../../util/size.js'
import classes from './FileDrop.module.css'

interface Props {
  file: File
  upload: ReturnType<typeof useUpload>
  onForget: () => void
}

/** How far the file is, how fast, how long still; pause, continue, another file. */
export function UploadProgress({ file, upload, onForget }: Props) {
  const { state, bytesSent, bytesTotal, error } = upload.state
  const percent = bytesTotal > 0 ? Math.floor((bytesSent / bytesTotal) * 100) : 0
  return (
    <>
      <div className={classes['file']}>
        <span className={classes['name']}>{file.name}</span>
        <span className={classes['actions']}>
          {state === 'sending' && (
            <Button size="xs" variant="default" onClick={upload.pause}>
              Pause
            </Button>
          )}
          {(state === 'paused' || state === 'failed') && (
            <Button size="xs" variant="default" onClick={upload.resume}>
              Continue
            </Button>
          )}
          <Button size="xs" variant="subtle" color="gray" onClick={onForget}>
            Another file
          </Button>
        </span>
        <div className={classes['bar']}>
          <ProgressBar label={`Sending ${file.name}`} progress={percent / 100} text={`${percent} %`} />
        </div>
        <p className={classes['facts']}>{facts(upload, percent)}</p>
      </div>
      {state === 'failed' && error && <ErrorNotice what="Sending stopped" error={error} />}
    </>
  )
}

function facts(upload: Props['upload'], percent: number): string {
  const { state, bytesSent, bytesTotal, rate, left } = upload.state
  if (state === 'done') return `Sent, ${formatSize(bytesTotal)}. It is checked when you make it an image.`
  const words = [
    `${percent} %`,
    `${formatSize(bytesSent)} of ${formatSize(bytesTotal)}`,
    rate === null ? null : `${formatSize(Math.round(rate))}/s`,
    left,
    state === 'paused' ? 'paused' : null,
  ]
  return words.filter(Boolean).join(' · ')
}
