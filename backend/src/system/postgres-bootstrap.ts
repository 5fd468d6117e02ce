import pg, { type PoolConfig } from 'pg'
import { SandlabError } from '../domain/error.js'
import { errnoOf } from './durable-file.js'
import type { Logger } from './log.js'
import { APPLICATION, prepareSocketFolder, setSuperuserPassword, SUPERUSER, takeOwnership } from './postgres-cluster.js'
import {
  clusterNameOf,
  findPostmaster,
  launchPostmaster,
  runsReplacedProgram,
  stopPostmaster,
  type Launch,
  type Postmaster,
} from './postgres-process.js'

/**
 * A server that is ready for the application: the one that a killed backend left, where it is what we would start, else a
 * new one with our role and database in it. Throws `database_down`; nothing is left running then.
 */
export async function adoptOrLaunch(
  launch: Launch,
  connection: PoolConfig,
  log: Logger,
  signal: AbortSignal,
): Promise<Postmaster> {
  const left = await findPostmaster(launch.places.dataDir)
  if (left) {
    const refusal = await whyNotAdopt(launch, left, connection)
    if (refusal === undefined) {
      log.info({ pid: left.pid }, 'adopted the PostgreSQL that an earlier backend left')
      return left
    }
    log.info({ pid: left.pid, reason: refusal }, 'replacing the PostgreSQL that an earlier backend left')
    left.unwatch()
    await stopPostmaster(launch.places.dataDir, left)
  }
  await prepareSocketFolder(launch.places)
  await takeOwnership(launch.places)
  return launchAndPrepare(launch, connection, signal)
}

/** Undefined: it answers to our password on our socket and was started with what we would start it with. */
async function whyNotAdopt(launch: Launch, left: Postmaster, connection: PoolConfig): Promise<string | undefined> {
  if (await runsReplacedProgram(left.pid)) return 'its program was upgraded'
  try {
    const name = await withClient(
      { ...connection, connectionTimeoutMillis: 1000, query_timeout: 1000 },
      async (client) => {
        const answer = await client.query<{ cluster_name: string }>('show cluster_name')
        return answer.rows[0]?.cluster_name
      },
    )
    return name === clusterNameOf(launch) ? undefined : 'it was started with other settings'
  } catch (error) {
    return `it did not answer: ${error instanceof Error ? error.message : String(error)}`
  }
}

async function launchAndPrepare(launch: Launch, connection: PoolConfig, signal: AbortSignal): Promise<Postmaster> {
  const first = await launchPostmaster(launch, signal)
  if (await prepareDatabase(connection, first, launch)) return first
  await stopPostmaster(launch.places.dataDir, first)
  await setSuperuserPassword(launch.places, launch.binaries, String(connection.password))
  const second = await launchPostmaster(launch, signal)
  if (await prepareDatabase(connection, second, launch)) return second
  await stopPostmaster(launch.places.dataDir, second)
  throw new SandlabError('database_down', 'PostgreSQL refuses the password that it was just given.', {
    hint: 'Look at state/postgres/pg_hba.conf: it must have `local all all scram-sha-256`.',
  })
}

/** Makes the application's role and database where missing. False: the superuser's password is another one. */
async function prepareDatabase(connection: PoolConfig, postmaster: Postmaster, launch: Launch): Promise<boolean> {
  const ready = await withClient(connection, async () => true).catch((error: unknown) => {
    if (['28P01', '28000', '3D000'].includes(errnoOf(error) ?? '')) return false
    throw error
  })
  if (ready) return true
  const administrator = { ...connection, user: SUPERUSER, database: 'postgres' }
  try {
    await withClient(administrator, (client) => createApplication(client, String(connection.password)))
    return true
  } catch (error) {
    if (errnoOf(error) === '28P01') return false
    await stopPostmaster(launch.places.dataDir, postmaster)
    throw error
  }
}

async function createApplication(client: pg.Client, password: string): Promise<void> {
  const role = await client.query('select 1 from pg_roles where rolname = $1', [APPLICATION])
  // Not a statement that takes parameters; the password has only letters, digits, - and _.
  const options = `login nosuperuser nocreatedb nocreaterole password '${password}'`
  await client.query(`${role.rowCount === 0 ? 'create' : 'alter'} role ${APPLICATION} ${options}`)
  const database = await client.query('select 1 from pg_database where datname = $1', [APPLICATION])
  if (database.rowCount === 0) await client.query(`create database ${APPLICATION} owner ${APPLICATION}`)
}

async function withClient<T>(config: PoolConfig, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionTimeoutMillis: 5000, query_timeout: 15_000, ...config })
  client.on('error', () => undefined) // a lost connection also rejects the query that is under way
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
