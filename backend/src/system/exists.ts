import { access } from 'node:fs/promises'
import { errnoOf } from './durable-file.js'

/** Whether something is under a name, for us; what can't be looked at counts as absent. */
export function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

/** The same, where "not there" decides what is done to a disk: rejects when it can't be told. */
export function existsForSure(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    (error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return false
      throw error
    },
  )
}
