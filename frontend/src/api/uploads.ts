import { useEffect, useRef, useState } from 'react'
import { type DetailedError, Upload } from 'tus-js-client'
import { addSample, rate, type Sample, timeLeft } from '../util/progress.js'
import { ApiError, apiUrl } from './client.js'

const CHUNK_BYTES = 16 * 1024 * 1024

export interface UploadState {
  state: 'idle' | 'sending' | 'paused' | 'done' | 'failed'
  bytesSent: number
  bytesTotal: number
  /** Bytes a second, and the time that is left in words; null while it can't be told. */
  rate: number | null
  left: string | null
  /** Set when `done`: what `import-upload` asks for. */
  uploadId: string | null
  error: ApiError | null
}

const IDLE: UploadState = {
  state: 'idle',
  bytesSent: 0,
  bytesTotal: 0,
  rate: null,
  left: null,
  uploadId: null,
  error: null,
}

/** A resumable upload: it goes on after a lost network, a pause, and, for the same file, after a reload. */
export function useUpload() {
  const upload = useRef<Upload | null>(null)
  const [state, setState] = useState<UploadState>(IDLE)

  useEffect(() => () => void upload.current?.abort(), [])

  const start = async (file: File) => {
    await upload.current?.abort()
    let samples: Sample[] = []
    const begun = Date.now()
    const next: Upload = new Upload(file, {
      endpoint: apiUrl('uploads'),
      chunkSize: CHUNK_BYTES,
      headers: { 'X-Requested-With': 'sandlabx' },
      metadata: { filename: file.name },
      retryDelays: [0, 1000, 3000, 5000, 10_000, 20_000],
      removeFingerprintOnSuccess: true,
      onProgress(bytesSent, bytesTotal) {
        samples = addSample(samples, { at: Date.now(), bytes: bytesSent })
        const pace = rate(samples)
        const left = timeLeft({
          bytesDone: bytesSent,
          bytesTotal,
          bytesPerSecond: pace,
          progress: null,
          elapsedMs: Date.now() - begun,
        })
        setState({ ...IDLE, state: 'sending', bytesSent, bytesTotal, rate: pace, left })
      },
      onSuccess() {
        const uploadId = next.url?.split('/').at(-1) ?? null
        setState({ ...IDLE, state: 'done', bytesSent: file.size, bytesTotal: file.size, uploadId })
      },
      onError: (error) => setState((before) => ({ ...before, state: 'failed', error: readFailure(error) })),
    })
    upload.current = next
    setState({ ...IDLE, state: 'sending', bytesTotal: file.size })
    const [earlier] = await next.findPreviousUploads()
    if (earlier) next.resumeFromPreviousUpload(earlier)
    next.start()
  }

  return {
    state,
    start,
    pause: () => {
      void upload.current?.abort()
      setState((before) => ({ ...before, state: 'paused', rate: null, left: null }))
    },
    resume: () => {
      upload.current?.start()
      setState((before) => ({ ...before, state: 'sending', error: null }))
    },
    /** Forgets the file, also on the server. */
    discard: () => {
      void upload.current?.abort(true).catch(() => undefined) // the server removes stale uploads by itself
      upload.current = null
      setState(IDLE)
    },
  }
}

/** The server's own words when it spoke, else that it is silent. */
function readFailure(error: Error | DetailedError): ApiError {
  const response = 'originalResponse' in error ? error.originalResponse : null
  const status = response?.getStatus() ?? 0
  try {
    const body: unknown = JSON.parse(response?.getBody() ?? '')
    if (body && typeof body === 'object' && 'error' in body) {
      return new ApiError(status, (body as { error: ConstructorParameters<typeof ApiError>[1] }).error)
    }
  } catch {
    // Not JSON: the sentence below says what can be said.
  }
  return new ApiError(status, {
    code: status === 413 ? 'too_large' : 'unreachable',
    message: status === 0 ? 'The server did not answer.' : `The server answered ${status}.`,
    hint: 'What was sent is kept. Continue when the connection is back.',
  })
}
