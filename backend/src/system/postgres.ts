import { closeSync, openSync, readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import type { PoolConfig } from 'pg'
import { SandlabError } from '../domain/error.js'
import type { HealthCheck } from '../domain/health.js'
import { postgresDir, postgresLogFile, postgresPasswordFile, postgresSocketDir, type Layout } from '../domain/layout.js'
import { identityNamed, workerIdentity, type Identity } from './identity.js'
import type { Logger } from './log.js'
import { findPostgresBinaries } from './postgres-binaries.js'
import { adoptOrLaunch } from './postgres-bootstrap.js'
import {
  APPLICATION,
  ensurePassword,
  initialiseCluster,
  prepareSocketFolder,
  readClusterMajor,
  type ClusterPlaces,
} from './postgres-cluster.js'
import { boundLog } from './postgres-log.js'
import { stopPostmaster, type Launch } from './postgres-process.js'
import { supervise } from './postgres-supervisor.js'

export interface PostgresOptions {
  layout: Layout
  log: Logger
  /** Whom the server runs as; needed when we are root. See postgresIdentity. */
  identity: Identity | undefined
  /** Forced server settings; tests switch fsync off. */
  settings?: Record<string, string> | undefined
  /** Where to look for the server's programs instead of the usual places. */
  binaryFolders?: string[] | undefined
}

export interface ManagedPostgres {
  /** For a pool of the application's own role; the same after every restart of the server. */
  connection: PoolConfig
  version: string
  health(): HealthCheck
  /** Fast shutdown. Nothing of the server is left; its data is. */
  stop(): Promise<void>
}

/** Debian's `postgres` where it exists: an escaped guest, which runs as the worker, then can't reach the database. */
export function postgresIdentity(): Identity | undefined {
  if (process.getuid?.() !== 0) return undefined
  return identityNamed(readFileSync('/etc/passwd', 'utf8'), 'postgres') ?? workerIdentity()
}

/**
 * Starts PostgreSQL on `state/postgres`, reachable through a unix socket alone, or adopts the one that a killed backend
 * left; then keeps it running: a server that ends is started again, with a growing pause.
 *
 * Resolves after the first attempt, also when that failed (`health` says why and it is tried again), so that a backend
 * boots with its database down. Throws what trying again can't mend: `missing_tool`, `bad_config`, `state_unreadable`,
 * and `no_space`, `state_io` or `database_down` when a new database could not be made.
 */
export async function startPostgres(options: PostgresOptions): Promise<ManagedPostgres> {
  const { layout, log, identity } = options
  refuseRoot(identity)
  const places: ClusterPlaces = {
    dataDir: postgresDir(layout),
    socketDir: postgresSocketDir(layout),
    passwordFile: postgresPasswordFile(layout),
    identity,
  }
  const binaries = await findPostgresBinaries({
    identity,
    major: await readClusterMajor(places.dataDir),
    folders: options.binaryFolders,
  })
  await mkdir(layout.state, { recursive: true, mode: 0o700 })
  await prepareSocketFolder(places)
  const password = await ensurePassword(places.passwordFile)
  if ((await readClusterMajor(places.dataDir)) === undefined) {
    log.info({ version: binaries.version }, 'making the database')
    await initialiseCluster(places, binaries, { password, sync: options.settings?.['fsync'] !== 'off' })
  }
  const socket = reachableSocketFolder(places.socketDir)
  const launch: Launch = { binaries, places, settings: options.settings ?? {}, logFile: postgresLogFile(layout) }
  const connection: PoolConfig = {
    host: socket.host,
    port: 5432,
    user: APPLICATION,
    database: APPLICATION,
    password,
  }
  const supervisor = await supervise({
    log,
    version: binaries.version,
    start: (signal) => adoptOrLaunch(launch, connection, log, signal),
    stop: (postmaster) => stopPostmaster(places.dataDir, postmaster),
    tidy: () => boundLog(launch.logFile),
  })
  return {
    connection,
    version: binaries.version,
    health: () => supervisor.health(),
    async stop() {
      await supervisor.stop()
      socket.release()
    },
  }
}

function refuseRoot(identity: Identity | undefined): void {
  if (process.getuid?.() !== 0 || (identity && identity.uid !== 0)) return
  throw new SandlabError('bad_config', 'PostgreSQL may not run as root.', {
    hint: 'Add a system user: adduser --system --group sandlabx',
  })
}

/** Clients need the socket's path below 108 bytes; a long one is reached through a descriptor of ours, at no risk. */
function reachableSocketFolder(socketDir: string): { host: string; release(): void } {
  if (Buffer.byteLength(`${socketDir}/.s.PGSQL.5432`) <= 100) return { host: socketDir, release: () => undefined }
  const fd = openSync(socketDir, 'r')
  let open = true
  const release = () => {
    if (open) closeSync(fd) // once: the number may belong to another file by then
    open = false
  }
  return { host: `/proc/self/fd/${fd}`, release }
}
