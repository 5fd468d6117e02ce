import { Kysely, Migrator, PostgresDialect, type PostgresPool } from 'kysely'
import pg, { type PoolConfig } from 'pg'
import { SandlabError } from '../domain/error.js'
import { errnoOf } from '../system/durable-file.js'
import type { Logger } from '../system/log.js'
import { databaseFailure } from './database-failure.js'
import { MIGRATIONS } from './migrations.js'
import { createRevocations, type Revocations } from './revocations.js'
import type { Tables } from './tables.js'

/** The rooms' one way to PostgreSQL. */
export interface Database {
  /**
   * Every query throws `database_down` while the server is away or silent, `no_space` when its disk is full,
   * `state_newer` when a newer SandLabX has changed the schema; other failures keep PostgreSQL's own error with its
   * SQLSTATE in `code`. Works again by itself when the server is back.
   */
  readonly sql: Kysely<Tables>
  /** Told whenever a session or token ends before its time. */
  readonly revocations: Revocations
  /** The server's version, when it answers and the schema is there. Throws as `sql` does. */
  ping(): Promise<string>
  close(): Promise<void>
}

/** A lab asks little of its database; one that hangs must not hold a request for long. */
const LIMITS: PoolConfig = {
  max: 8,
  connectionTimeoutMillis: 5000, // also the wait for one of the eight
  idleTimeoutMillis: 60_000,
  keepAlive: true,
  statement_timeout: 8000,
  idle_in_transaction_session_timeout: 15_000,
  lock_timeout: 5000,
  // The server's own limit does not help when the server is stopped or the network is gone.
  query_timeout: 10_000,
  application_name: 'sandlabx',
}

/**
 * Opens a pool to the managed server or to DATABASE_URL. Never throws and waits for nothing: the schema is brought up to
 * date before the first query that reaches the server.
 */
export function openDatabase(config: PoolConfig, log: Logger): Database {
  const pool = new pg.Pool({ ...LIMITS, ...config })
  pool.on('error', (error) => log.warn({ err: error }, 'an idle database connection was lost'))
  const raw = guardedPool(pool)
  let migrated: Promise<void> | undefined
  const ensureMigrated = () => {
    migrated ??= migrate(raw, log).catch((error: unknown) => {
      migrated = undefined // the next query tries again
      throw error
    })
    return migrated
  }
  const sql = new Kysely<Tables>({
    dialect: new PostgresDialect({
      pool: {
        async connect() {
          await ensureMigrated()
          return raw.connect()
        },
        end: () => raw.end(),
      },
    }),
  })
  return {
    sql,
    revocations: createRevocations((error) => log.error({ err: error }, 'a listener of revocations failed')),
    async ping() {
      await ensureMigrated()
      const client = await raw.connect()
      try {
        const answer = await client.query<{ server_version: string }>('show server_version', [])
        return answer.rows[0]?.server_version.split(' ')[0] ?? 'unknown' // Debian adds its own number behind
      } finally {
        client.release()
      }
    },
    // Not `sql.destroy()`: before the first query Kysely does not know of the pool and would leave it open.
    close: () => raw.end(),
  }
}

/** Says every failure in our terms, and drops a connection that did not answer instead of using it again. */
function guardedPool(pool: pg.Pool): PostgresPool {
  let ended: Promise<void> | undefined
  return {
    async connect() {
      const client = await pool.connect().catch((error: unknown) => {
        throw databaseFailure(error, 'connect')
      })
      let broken: Error | undefined
      // pg-pool listens only to idle clients; without a listener a connection lost between two queries ends the process.
      const onLost = (error: Error) => (broken = error)
      client.on('error', onLost)
      return {
        // PostgresPool also has a cursor form, which we never use: no cursor is configured.
        query: (async (text: string, parameters: readonly unknown[]) => {
          try {
            return await client.query(text, [...parameters])
          } catch (error) {
            const failure = databaseFailure(error, 'query')
            if (failure instanceof SandlabError && failure.code === 'database_down') broken = failure
            throw failure
          }
        }) as never,
        release() {
          client.off('error', onLost)
          client.release(broken)
        },
      }
    },
    end: () => (ended ??= pool.end()),
  }
}

/** Two backends that start at once take turns: the migrator holds a lock in the database. */
async function migrate(pool: PostgresPool, log: Logger): Promise<void> {
  const database = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) })
  const migrator = new Migrator({ db: database, provider: { getMigrations: async () => MIGRATIONS } })
  const { error, results } = await migrator.migrateToLatest()
  for (const result of results ?? []) {
    if (result.status === 'Success') log.info({ migration: result.migrationName }, 'database schema updated')
  }
  if (error === undefined) return
  if (error instanceof SandlabError || errnoOf(error) !== undefined) throw error
  const unknownStep = error instanceof Error && error.message.includes('previously executed migration')
  if (!unknownStep) throw error
  throw new SandlabError('state_newer', 'The database was changed by a newer SandLabX.', {
    hint: 'Install that version again, or restore a backup of the database from before.',
    cause: error,
  })
}
