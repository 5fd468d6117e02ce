import type { Config } from '../config.js'
import type { Bus } from '../events/bus.js'
import { SandlabError } from '../domain/error.js'
import type { HealthCheck } from '../domain/health.js'
import type { Consoles } from '../consoles/gateway.js'
import type { Recordings } from '../consoles/recording/recordings.js'
import type { Disks } from '../disks/disks.js'
import type { NodeEngine } from '../hosts/engine.js'
import type { Uploads } from '../images/uploads.js'
import type { Nodes } from '../nodes/nodes.js'
import type { RebuildReport } from '../state/rebuild.js'
import type { Store } from '../state/store.js'
import type { Logger } from '../system/log.js'
import type { Answers } from './idempotency.js'
import type { Operations } from '../transactions/operations.js'
import type { Transactions } from '../transactions/transactions.js'
import type { Accounts } from '../users/accounts.js'
import type { Audit } from '../users/audit.js'
import type { ConsoleHistory } from '../users/console-history.js'
import type { Database } from '../users/database.js'
import type { Directory } from '../users/directory.js'
import type { Sessions } from '../users/sessions.js'
import type { SignInLimiter } from '../users/sign-in-limiter.js'
import type { Tokens } from '../users/tokens.js'

/** What exists once the state is loaded and the nodes are reconciled. */
export interface Lab {
  store: Store
  engine: NodeEngine
  nodes: Nodes
  disks: Disks
  consoles: Consoles
  recordings: Recordings
  operations: Operations
  transactions: Transactions
  uploads: Uploads
}

/** What the routes work with; put together once, in `main`. */
export interface Services {
  config: Config
  version: string
  log: Logger
  bus: Bus
  database: Database
  accounts: Accounts
  sessions: Sessions
  tokens: Tokens
  audit: Audit
  consoleHistory: ConsoleHistory
  /** Of the PostgreSQL that we run ourselves; undefined with an external one. */
  postgresHealth: (() => HealthCheck) | undefined
  signInLimiter: SignInLimiter
  /** Of requests that came with an Idempotency-Key. */
  answers: Answers
  directory: Directory
  /** Undefined until ready; in safe mode for good, with the reason. */
  lab: Lab | undefined
  safeMode: { reason: string; sidecars: number } | undefined
  /** What was unusual about loading the state; null when nothing was. */
  stateWarning: string | null
  /** Runs every health check now. */
  checkHealth(): Promise<HealthCheck[]>
  /** In safe mode: rebuilds the state from the sidecars and goes on. */
  rebuild(): Promise<RebuildReport>
  /** SHA-256 of the local administrator credential in `state/local-token`. */
  localTokenHash: string
}

/** The lab, or the reason why there is none yet. */
export function labOf(services: Services): Lab {
  if (services.lab) return services.lab
  if (services.safeMode) {
    throw new SandlabError('safe_mode', `SandLabX is in safe mode: ${services.safeMode.reason}`, {
      hint: 'Nothing was overwritten. An administrator can rebuild the state from the records beside the disks: see Health.',
      details: { ...services.safeMode },
    })
  }
  throw new SandlabError('starting_up', 'SandLabX is starting.', { hint: 'Try again in a few seconds.' })
}
