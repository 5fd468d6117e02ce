import { setTimeout as pause } from 'node:timers/promises'
import { isFromStorage } from '../system/durable-file.js'
import type { Logger } from '../system/log.js'

/** Short of what somebody who waits for an answer would take for a hang. */
const TRIES_AFTER_MS = [50, 250, 1000] as const

/**
 * Does what must be done, once more when the disk refused it: too many open files, or a disk that was full for a
 * moment, are over a moment later, and nobody may build on what is half done meanwhile. Only for work that may run
 * again. Rejects with the last error.
 */
export async function insist(title: string, work: () => Promise<void>, log: Logger): Promise<void> {
  for (const milliseconds of TRIES_AFTER_MS) {
    try {
      await work()
      return
    } catch (error) {
      if (!isFromStorage(error)) throw error
      log.warn({ err: error, step: title }, 'a step that must be done is tried again')
      await pause(milliseconds)
    }
  }
  await work()
}
