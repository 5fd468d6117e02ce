interface Sync {
  running: Promise<void>
  /** What those share who asked while it ran; it begins when that has ended. */
  next: Promise<void> | undefined
}

/**
 * Lets concurrent requests to make a folder durable share the work: whoever asks while a sync is under way, which may
 * have begun too early for them, gets the one after it, together with all others who wait. A failure is everybody's who
 * shares it.
 */
export function shareSync(sync: (path: string) => Promise<void>): (path: string) => Promise<void> {
  const syncs = new Map<string, Sync>()
  const begin = (path: string): Promise<void> => {
    const entry: Sync = { running: Promise.resolve(), next: undefined }
    entry.running = sync(path).finally(() => {
      if (!entry.next) syncs.delete(path)
    })
    syncs.set(path, entry)
    return entry.running
  }
  return (path) => {
    const current = syncs.get(path)
    if (!current) return begin(path)
    const after = () => begin(path)
    current.next ??= current.running.then(after, after)
    return current.next
  }
}
