import type { UserId } from '../domain/ids.js'

/** One session or token has ended, or all that a user's sessions and tokens had opened must end. */
export type Revocation = { credentialId: string; userId?: undefined } | { userId: UserId; credentialId?: undefined }

/** Says at once, in this process, that a right is gone; listeners close what was opened with it. */
export interface Revocations {
  publish(revocation: Revocation): void
  /** Returns the unsubscribe. A listener must not throw; one that does is the caller's defect and stops no other. */
  subscribe(listener: (revocation: Revocation) => void): () => void
}

export function createRevocations(onListenerError: (error: unknown) => void): Revocations {
  const listeners = new Set<(revocation: Revocation) => void>()
  return {
    publish(revocation) {
      for (const listener of listeners) {
        try {
          listener(revocation)
        } catch (error) {
          onListenerError(error)
        }
      }
    },
    subscribe(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
}
