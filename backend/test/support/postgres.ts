import { access, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { PoolConfig } from 'pg'
import { layoutOf, postgresDir, type Layout } from '../../src/domain/layout.js'
import { createLog } from '../../src/system/log.js'
import { postgresIdentity, startPostgres, type ManagedPostgres } from '../../src/system/postgres.js'
import { findPostmaster, stopPostmaster } from '../../src/system/postgres-process.js'

export interface TestPostgres {
  /** For `openDatabase`: an empty database of this file's own server. */
  connection: PoolConfig
  layout: Layout
  server: ManagedPostgres
  /** Stops the server and removes its folder. */
  stop(): Promise<void>
}

/** What makes a server safe also makes it slow; a test's data may be lost. */
export const FAST = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }

const PREFIX = 'sandlabx-pg-'

/** A real PostgreSQL of its own, ready in about a second. Call it in `beforeAll`, and `stop` in `afterAll`. */
export async function startTestPostgres(): Promise<TestPostgres> {
  await removeLeftovers()
  const layout = await temporaryLayout()
  const server = await startPostgres({
    layout,
    log: createLog('silent'),
    identity: postgresIdentity(),
    settings: FAST,
  })
  return {
    connection: server.connection,
    layout,
    server,
    async stop() {
      await server.stop()
      await removeLayout(layout)
    },
  }
}

/** An empty data folder; its name has our pid, so that a later run can tell that nobody needs it any more. */
export async function temporaryLayout(): Promise<Layout> {
  return layoutOf(await mkdtemp(join(tmpdir(), `${PREFIX}${process.pid}-`)))
}

export async function removeLayout(layout: Layout): Promise<void> {
  const left = await findPostmaster(postgresDir(layout))
  if (left) {
    left.unwatch()
    await stopPostmaster(postgresDir(layout), left)
  }
  await rm(join(layout.state, '..'), { recursive: true, force: true })
}

/** Servers and folders of runs that were killed: nobody else would end them. */
async function removeLeftovers(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const pid = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1]
    if (pid === undefined || (await isAlive(pid))) continue
    await removeLayout(layoutOf(join(tmpdir(), name)))
  }
}

function isAlive(pid: string): Promise<boolean> {
  return access(`/proc/${pid}`).then(
    () => true,
    () => false,
  )
}

/** Pid of the server on this layout, as its own file says. */
export async function serverPid(layout: Layout): Promise<number> {
  return Number((await readFile(join(postgresDir(layout), 'postmaster.pid'), 'utf8')).split('\n')[0])
}
