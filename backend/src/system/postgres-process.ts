import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { closeSync, openSync } from 'node:fs'
import { readdir, readFile, readlink, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { SandlabError } from '../domain/error.js'
import { errnoOf } from './durable-file.js'
import type { PostgresBinaries } from './postgres-binaries.js'
import { DATA_FD_PATH, SOCKET_FD_PATH, withFolders, type ClusterPlaces } from './postgres-cluster.js'

/** A running postmaster, started by us or found. */
export interface Postmaster {
  pid: number
  /** Resolves with how it ended, in words. */
  exited: Promise<string>
  /** Stops watching a process that is not our child. */
  unwatch(): void
}

export interface Launch {
  binaries: PostgresBinaries
  places: ClusterPlaces
  /** Forced settings, on the command line. */
  settings: Record<string, string>
  logFile: string
}

const WATCH_INTERVAL_MS = 250

/** What no configuration file may change. Its hash is the server's `cluster_name`: another hash, another server. */
function commandLine({ binaries, places, settings }: Launch): string[] {
  const forced = {
    listen_addresses: '',
    unix_socket_directories: SOCKET_FD_PATH,
    unix_socket_permissions: '0700',
    port: '5432',
    logging_collector: 'off',
    log_destination: 'stderr',
    ...settings,
  }
  const hash = createHash('sha256')
    .update(JSON.stringify([binaries, forced, places.identity ?? null]))
    .digest('hex')
  const all = { ...forced, cluster_name: `sandlabx-${hash.slice(0, 16)}` }
  return ['-D', DATA_FD_PATH, ...Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])]
}

export function clusterNameOf(launch: Launch): string {
  return commandLine(launch).at(-1)?.replace('cluster_name=', '') ?? ''
}

/**
 * Starts a server and waits until it takes connections. It leads a session of its own and writes its log itself, so it
 * outlives a killed backend. Throws `database_down` with the log's last words; nothing is left running then.
 */
export async function launchPostmaster(
  launch: Launch,
  signal: AbortSignal,
  readyWithinMs = 60_000,
): Promise<Postmaster> {
  await removeStaleFiles(launch.places)
  const log = openSync(launch.logFile, 'a', 0o600)
  try {
    const postmaster = await withFolders(launch.places, (fds) => spawnPostmaster(launch, log, fds))
    await untilReady(launch, postmaster, AbortSignal.any([signal, AbortSignal.timeout(readyWithinMs)]))
    return postmaster
  } finally {
    closeSync(log)
  }
}

function spawnPostmaster(launch: Launch, log: number, folders: number[]): Promise<Postmaster> {
  const { identity } = launch.places
  const child = spawn(join(launch.binaries.folder, 'postgres'), commandLine(launch), {
    cwd: '/',
    detached: true,
    stdio: ['ignore', log, log, ...folders],
    env: { LC_ALL: 'C', TZ: 'UTC' }, // it needs nothing of ours, and ours may hold secrets
    ...(identity ? { uid: identity.uid, gid: identity.gid } : {}),
  })
  child.unref()
  return new Promise((resolve, reject) => {
    const exited = new Promise<string>((ended) => {
      child.once('exit', (code, signal) => ended(signal === null ? `exit code ${code}` : `signal ${signal}`))
    })
    child.once('spawn', () => resolve({ pid: child.pid ?? 0, exited, unwatch: () => undefined }))
    child.once('error', (error) => {
      reject(new SandlabError('database_down', 'PostgreSQL could not be started.', { cause: error }))
    })
  })
}

/** The postmaster writes `ready` into its pid file, and asks nothing of anybody who reads it there. */
async function untilReady(launch: Launch, postmaster: Postmaster, signal: AbortSignal): Promise<void> {
  let ended: string | undefined
  void postmaster.exited.then((how) => (ended = how))
  for (;;) {
    const file = await readPidFile(launch.places.dataDir)
    if (file?.pid === postmaster.pid && file.ready) return
    if (ended !== undefined) throw await launchFailure(launch, `it ended with ${ended}`)
    if (signal.aborted) {
      await stopPostmaster(launch.places.dataDir, postmaster)
      throw await launchFailure(launch, 'it did not become ready in time')
    }
    await wait(10)
  }
}

async function launchFailure({ logFile }: Launch, how: string): Promise<SandlabError> {
  const log = await readFile(logFile, 'utf8').catch(() => '')
  const fatal = log.split('\n').findLast((line) => /FATAL|PANIC/.test(line))
  const said = fatal?.replace(/^.*?(FATAL|PANIC):\s*/, '')
  return new SandlabError('database_down', `PostgreSQL did not start: ${said ?? how}.`, {
    hint: /No space left/.test(fatal ?? '') ? 'Free some disk space; it is tried again.' : `See ${logFile}.`,
    details: { how },
  })
}

async function readPidFile(dataDir: string): Promise<{ pid: number; ready: boolean } | undefined> {
  const text = await readFile(join(dataDir, 'postmaster.pid'), 'utf8').catch(() => '')
  const lines = text.split('\n')
  const pid = Number(lines[0])
  return Number.isInteger(pid) && pid > 1 ? { pid, ready: lines[7]?.trim() === 'ready' } : undefined
}

/**
 * The server that already runs on this data folder, left behind by a killed backend. It is known by its working
 * directory, which is the data folder itself (same device, same inode); a pid alone proves nothing, pids are reused.
 */
export async function findPostmaster(dataDir: string): Promise<Postmaster | undefined> {
  const file = await readPidFile(dataDir)
  if (!file || !(await runsOn(dataDir, file.pid))) return undefined
  const stopWatching = new AbortController()
  return {
    pid: file.pid,
    exited: untilGone(dataDir, file.pid, stopWatching.signal),
    unwatch: () => stopWatching.abort(),
  }
}

async function runsOn(dataDir: string, pid: number): Promise<boolean> {
  const program = await readlink(`/proc/${pid}/exe`).catch(() => '')
  return /\/postgres( \(deleted\))?$/.test(program) && (await worksIn(dataDir, pid))
}

/** The last thing that an ending process gives up; its program is unmapped earlier. */
async function worksIn(dataDir: string, pid: number): Promise<boolean> {
  try {
    const [cwd, data] = await Promise.all([stat(`/proc/${pid}/cwd`), stat(dataDir)])
    return cwd.dev === data.dev && cwd.ino === data.ino
  } catch {
    return false // gone, or not ours to look at: in both cases not a server that we could use
  }
}

async function untilGone(dataDir: string, pid: number, stopped: AbortSignal): Promise<string> {
  while (!stopped.aborted && (await worksIn(dataDir, pid))) {
    await wait(WATCH_INTERVAL_MS, undefined, { ref: false })
  }
  return stopped.aborted ? 'nobody watching any more' : 'unknown cause (it was started by an earlier backend)'
}

/** True when the program on disk has been replaced since, as a package upgrade does. */
export async function runsReplacedProgram(pid: number): Promise<boolean> {
  const program = await readlink(`/proc/${pid}/exe`).catch(() => '')
  return program.endsWith(' (deleted)')
}

/**
 * Fast shutdown (open transactions are rolled back), then SIGQUIT, then SIGKILL; says which it took. All three are safe
 * for the data: the last two cost a recovery at the next start. Resolves when the process is gone.
 */
export async function stopPostmaster(
  dataDir: string,
  postmaster: Postmaster,
  graceMs = 15_000,
): Promise<'SIGINT' | 'SIGQUIT' | 'SIGKILL'> {
  for (const signal of ['SIGINT', 'SIGQUIT'] as const) {
    sendTo(postmaster.pid, signal)
    if (await goneWithin(dataDir, postmaster.pid, signal === 'SIGINT' ? graceMs : 6000)) return signal
  }
  sendTo(postmaster.pid, 'SIGKILL')
  await goneWithin(dataDir, postmaster.pid, 5000)
  return 'SIGKILL'
}

function sendTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error
  }
}

async function goneWithin(dataDir: string, pid: number, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs
  while (await worksIn(dataDir, pid)) {
    if (performance.now() > deadline) return false
    await wait(10)
  }
  return true
}

/**
 * Only called when no server runs here. A pid file whose pid now belongs to somebody else would stop the next server;
 * without it PostgreSQL still guards the folder through its shared memory.
 */
async function removeStaleFiles({ dataDir, socketDir }: ClusterPlaces): Promise<void> {
  const sockets = (await readdir(socketDir)).filter((name) => name.startsWith('.s.PGSQL.'))
  await Promise.all(sockets.map((name) => rm(join(socketDir, name), { force: true })))
  await rm(join(dataDir, 'postmaster.pid'), { force: true })
}
