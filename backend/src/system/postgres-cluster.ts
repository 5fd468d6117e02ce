import { randomBytes } from 'node:crypto'
import { closeSync, openSync } from 'node:fs'
import {
  chmod,
  chown,
  lchown,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { SandlabError } from '../domain/error.js'
import { CommandError, runCommand } from './command.js'
import { errnoOf, fsyncDirectory, storageFailure, writeFileDurably } from './durable-file.js'
import type { Identity } from './identity.js'
import type { PostgresBinaries } from './postgres-binaries.js'

/** Where one managed server lives on disk, and as whom it runs. */
export interface ClusterPlaces {
  dataDir: string
  socketDir: string
  passwordFile: string
  identity: Identity | undefined
}

/** The superuser; the application itself signs in as APPLICATION, which may not read files or start programs. */
export const SUPERUSER = 'postgres'
export const APPLICATION = 'sandlabx'

/** A lab's bookkeeping, not a data warehouse. Written once: administrators may tune it. */
const CONFIGURATION = `# Written once by SandLabX and not touched again: tune it as you like, it is read at the next start.
# Where the server listens is on its command line and can't be changed here.
max_connections = 40
shared_buffers = 24MB
work_mem = 2MB
maintenance_work_mem = 16MB
min_wal_size = 32MB
max_wal_size = 256MB
max_worker_processes = 2
max_parallel_workers = 0
max_logical_replication_workers = 0
autovacuum_max_workers = 1
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
log_min_messages = warning
log_checkpoints = off
log_line_prefix = '%m [%p] '
`

/**
 * Descriptors 3 (data) and 4 (sockets) of a server process. The worker may not traverse the folders above `state/`, and
 * PostgreSQL wants absolute paths: /proc/self/fd/N is one, and opening through it asks no right on any ancestor. It also
 * keeps the socket's path far below the 107 bytes that the kernel allows. Tried with 15 and 18: initdb, postmaster,
 * --single, reload. (A relative path with `cwd`, as QEMU gets, fails: PostgreSQL ≤ 15 returns to its absolute cwd.)
 */
export const DATA_FD_PATH = '/proc/self/fd/3'
export const SOCKET_FD_PATH = '/proc/self/fd/4'

/** Calls `work` with both folders open; closed afterwards, a child keeps its own. */
export async function withFolders<T>(places: ClusterPlaces, work: (fds: number[]) => Promise<T> | T): Promise<T> {
  const fds: number[] = []
  try {
    for (const folder of [places.dataDir, places.socketDir]) fds.push(openSync(folder, 'r'))
    return await work(fds)
  } finally {
    for (const fd of fds) closeSync(fd)
  }
}

/** Major version of the data folder; undefined when there is none. Throws `state_unreadable` on a foreign folder. */
export async function readClusterMajor(dataDir: string): Promise<number | undefined> {
  try {
    return Number.parseInt(await readFile(join(dataDir, 'PG_VERSION'), 'utf8'), 10)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw storageFailure('read state/postgres', error)
  }
  const content = await readdir(dataDir).catch(() => [])
  if (content.length === 0) return undefined
  throw new SandlabError('state_unreadable', 'state/postgres is not empty, but it is no PostgreSQL data folder.', {
    hint: 'Nothing was touched. Move it away to start with an empty database, or restore it from a backup.',
  })
}

/** The folder of the sockets: of the server's user alone, made again after a reboot. */
export async function prepareSocketFolder({ socketDir, identity }: ClusterPlaces): Promise<void> {
  await mkdir(socketDir, { recursive: true, mode: 0o700 })
  if (!(await lstat(socketDir)).isDirectory()) {
    throw new SandlabError('bad_config', `${socketDir} is not a folder.`, { hint: 'Remove it, then start again.' })
  }
  if (identity) await chown(socketDir, identity.uid, identity.gid)
  await chmod(socketDir, 0o700)
}

/** Reads the password, or makes one; a server that has another gets this one (see setSuperuserPassword). */
export async function ensurePassword(passwordFile: string): Promise<string> {
  try {
    const password = (await readFile(passwordFile, 'utf8')).trim()
    if (/^[\w-]{20,}$/.test(password)) return password
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw storageFailure(`read ${passwordFile}`, error)
  }
  const password = randomBytes(24).toString('base64url')
  await writeFileDurably(passwordFile, `${password}\n`)
  return password
}

/**
 * Makes the database's data folder, whole or not at all: built beside it, then renamed. Throws `no_space` or
 * `database_down`; a half-made folder is removed by the next try.
 */
export async function initialiseCluster(
  places: ClusterPlaces,
  binaries: PostgresBinaries,
  options: { password: string; sync: boolean },
): Promise<void> {
  const { dataDir, socketDir, identity } = places
  await removeHalfMade(dataDir)
  // A name of its own: an initdb that outlived its backend may still write into the one before.
  const staging = await mkdtemp(`${dataDir}.new.`)
  const secretFile = join(socketDir, 'initial-password') // the server's user must read it, so it can't lie in state/
  try {
    if (identity) await chown(staging, identity.uid, identity.gid)
    await rm(secretFile, { force: true })
    await writeFile(secretFile, `${options.password}\n`, { mode: 0o600, flag: 'wx' })
    if (identity) await chown(secretFile, identity.uid, identity.gid)
    await runInitdb({ ...places, dataDir: staging }, binaries, options.sync)
    await writeFile(join(staging, 'postgresql.conf'), CONFIGURATION)
    await rename(staging, dataDir)
    await fsyncDirectory(dirname(dataDir))
  } catch (error) {
    await rm(staging, { recursive: true, force: true })
    throw initialisationFailure(error)
  } finally {
    await rm(secretFile, { force: true })
  }
}

async function removeHalfMade(dataDir: string): Promise<void> {
  const names = await readdir(dirname(dataDir))
  for (const name of names.filter((one) => one.startsWith(`${basename(dataDir)}.new.`))) {
    await rm(join(dirname(dataDir), name), { recursive: true, force: true, maxRetries: 3 })
  }
}

async function runInitdb(places: ClusterPlaces, binaries: PostgresBinaries, sync: boolean): Promise<void> {
  const args = [
    `--pgdata=${DATA_FD_PATH}`,
    `--username=${SUPERUSER}`,
    '--encoding=UTF8',
    '--no-locale', // "C": the same order everywhere, and no index breaks when glibc changes its mind
    '--auth=scram-sha-256',
    `--pwfile=${SOCKET_FD_PATH}/initial-password`,
    '--data-checksums',
    ...(sync ? [] : ['--no-sync']),
  ]
  await withFolders(places, (extraFds) =>
    runCommand(join(binaries.folder, 'initdb'), args, {
      cwd: '/',
      timeoutMs: 120_000,
      identity: places.identity,
      extraFds,
    }),
  )
}

function initialisationFailure(error: unknown): SandlabError {
  if (!(error instanceof CommandError)) return storageFailure('make the database under state/postgres', error)
  if (/No space left|Disk quota exceeded/.test(error.stderr)) {
    return new SandlabError('no_space', 'Could not make the database: the disk is full.', {
      hint: 'PostgreSQL needs about 60 MB under state/ to begin with. Free some disk space, then start again.',
      cause: error,
    })
  }
  return new SandlabError('database_down', 'Could not make the database under state/postgres: initdb failed.', {
    hint: 'Nothing was kept of it; start again. The log has what initdb said.',
    details: { initdb: error.stderr.trim().split('\n').slice(-5) },
    cause: error,
  })
}

/** Gives a stopped server's superuser the password that we have: the file was lost, or came from elsewhere. */
export async function setSuperuserPassword(
  places: ClusterPlaces,
  binaries: PostgresBinaries,
  password: string,
): Promise<void> {
  await withFolders(places, (extraFds) =>
    runCommand(join(binaries.folder, 'postgres'), ['--single', '-D', DATA_FD_PATH, 'postgres'], {
      cwd: '/',
      timeoutMs: 60_000,
      identity: places.identity,
      extraFds,
      // The password has only letters, digits, - and _: nothing to escape.
      input: `alter role ${SUPERUSER} with superuser login password '${password}'\n`,
    }),
  )
}

/** After a restore, or when the backend's user changed: the server refuses a folder that is not its user's. */
export async function takeOwnership({ dataDir, identity }: ClusterPlaces): Promise<void> {
  const owner = await stat(dataDir)
  const wanted = identity ?? { uid: process.getuid?.() ?? owner.uid, gid: process.getgid?.() ?? owner.gid }
  if (owner.uid === wanted.uid) return
  if (process.getuid?.() !== 0) {
    throw new SandlabError('state_io', `state/postgres belongs to user ${owner.uid}, not to us (${wanted.uid}).`, {
      hint: `Start SandLabX as that user, or give the folder away: chown -R ${wanted.uid} state/postgres`,
    })
  }
  for (const entry of await readdir(dataDir, { recursive: true })) {
    await lchown(join(dataDir, entry), wanted.uid, wanted.gid)
  }
  await chown(dataDir, wanted.uid, wanted.gid) // last: until then the next start tries again
}
