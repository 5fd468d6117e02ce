import { createWriteStream } from 'node:fs'
import type { RecordingCut } from '../../domain/recording.js'

/** A file that only grows, with bounds, beside a console that must not wait for it. */
export interface TapeFile {
  /** All of it or, from then on, nothing. */
  write(text: string): void
  /** Resolves when all of it is in the file. Never rejects. */
  end(): Promise<void>
}

export interface TapeFileOptions {
  /** Made by this, mode 0600; must not be there. */
  file: string
  maxBytes: number
  /** Once: nothing more is written. */
  onCut: (cut: RecordingCut) => void
}

/** What may wait for the disk. A disk that is slower than a console is no reason to hold the guest. */
const MAX_WAITING_BYTES = 8 * 1024 * 1024

export function createTapeFile({ file, maxBytes, onCut }: TapeFileOptions): TapeFile {
  const stream = createWriteStream(file, { flags: 'wx', mode: 0o600, flush: true })
  let bytes = 0
  let isOver = false
  let isCut = false
  stream.on('error', () => cut('failed'))

  function cut(why: RecordingCut): void {
    isOver = true
    if (isCut) return
    isCut = true
    onCut(why)
  }

  return {
    write(text) {
      if (isOver) return
      bytes += Buffer.byteLength(text)
      if (bytes > maxBytes) return cut('too-large')
      if (stream.writableLength > MAX_WAITING_BYTES) return cut('failed')
      stream.write(text)
    },
    end() {
      isOver = true
      return new Promise((resolve) => {
        if (stream.destroyed) return resolve()
        stream.once('close', resolve)
        stream.end()
      })
    },
  }
}
