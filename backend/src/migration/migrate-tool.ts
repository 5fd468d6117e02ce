import { readConfig, type Config } from '../config.js'
import { ERROR_CODES, isSandlabError } from '../domain/error.js'
import { migrateRequestSchema, type MigrateRequest } from '../domain/migration.js'
import { createLog } from '../system/log.js'
import { postgresIdentity, startPostgres } from '../system/postgres.js'
import { createAccounts } from '../users/accounts.js'
import { openDatabase } from '../users/database.js'
import { migrationAccounts } from './accounts.js'
import { discardOldDisks } from './discard.js'
import { planOnly, runMigration, type Migration } from './run.js'

/**
 * A process of its own for `sandlabx state migrate`, with the environment of a backend and while none runs. The request
 * is its one argument, in JSON; so is the answer on standard output, `{error}` with the code's exit code else. Progress
 * goes to standard error, a line each.
 */
try {
  const request = migrateRequestSchema.parse(JSON.parse(process.argv[2] ?? ''))
  process.stdout.write(`${JSON.stringify(await answer(request, readConfig(process.env)))}\n`)
} catch (error) {
  if (!isSandlabError(error)) throw error
  const { code, message, hint } = error
  process.stdout.write(`${JSON.stringify({ error: { code, message, hint } })}\n`)
  process.exitCode = ERROR_CODES[code].exit
}

function answer(request: MigrateRequest, config: Config): Promise<unknown> {
  const abort = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => abort.abort())
  const log = createLog('silent')
  const migration: Migration = {
    layout: config.layout,
    log,
    signal: abort.signal,
    onProgress: (text) => void process.stderr.write(`${text}\n`),
    openAccounts: () => openAccounts(config, log),
  }
  if (request.verb === 'plan') return planOnly(migration, request)
  if (request.verb === 'run') return runMigration(migration, request)
  return discardOldDisks(config.layout, request.report)
}

/** The lab's own PostgreSQL, started for as long as it is needed, or the one that the configuration names. */
async function openAccounts(config: Config, log: Migration['log']): ReturnType<Migration['openAccounts']> {
  const { layout, databaseUrl } = config
  const managed =
    databaseUrl === undefined ? await startPostgres({ layout, log, identity: postgresIdentity() }) : undefined
  const database = openDatabase(managed?.connection ?? { connectionString: databaseUrl }, log)
  return {
    accounts: migrationAccounts(createAccounts(database, { layout }), database),
    async close() {
      await database.close()
      await managed?.stop()
    },
  }
}
