import type { Readable, Writable } from 'node:stream'

/** What the command line touches of its process; tests give their own. */
export interface Io {
  stdin: Readable & { isTTY?: boolean; setRawMode?: (raw: boolean) => unknown }
  stdout: Writable & { isTTY?: boolean; columns?: number; rows?: number }
  stderr: Writable & { isTTY?: boolean; columns?: number }
  env: Readonly<Record<string, string | undefined>>
  /** Where `images/ overlays/ state/ run/` are unless told otherwise: the clone. */
  homeDir: string
  /** The backend's entry file, run by `up`. */
  serverScript: string
  /** Calls `listener` for SIGINT, SIGTERM and SIGHUP instead of ending the process. Returns the unsubscribe. */
  onSignal(listener: (signal: NodeJS.Signals) => void): () => void
}

/** Both ends are a terminal: questions can be asked. */
export function canAsk(io: Io): boolean {
  return io.stdin.isTTY === true && io.stderr.isTTY === true
}
