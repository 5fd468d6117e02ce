import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { migrationReportSchema } from '../../src/domain/migration.js'
import { createLog } from '../../src/system/log.js'
import { createAccounts } from '../../src/users/accounts.js'
import { openDatabase } from '../../src/users/database.js'
import { compileSources, type CompiledSources } from '../support/compiled-backend.js'
import { databaseUrl } from '../support/lab.js'
import { oldInstallation, type OldInstallation } from '../support/old-installation.js'
import { startTestPostgres } from '../support/postgres.js'

jest.setTimeout(120_000)

const WEB = '0b2f7a36-31f4-4a3e-9c53-1d5f2b1f7a01'
const LOST = '0b2f7a36-31f4-4a3e-9c53-1d5f2b1f7a02'
const ANN = '6f1f7d0e-6a55-4f1e-8f5c-0d8d3f1a0002'

describe('sandlabx state migrate', () => {
  let sources: CompiledSources
  let postgres: Awaited<ReturnType<typeof startTestPostgres>>
  let old: OldInstallation
  let dataDir: string
  beforeAll(async () => {
    sources = await compileSources([''])
    postgres = await startTestPostgres()
    old = await oldInstallation()
    dataDir = await mkdtemp(join(tmpdir(), 'sandlabx-migration-'))
  })
  afterAll(async () => {
    await postgres.stop()
    await sources.remove()
    await old.remove()
    await rm(dataDir, { recursive: true, force: true })
  })

  /** The very command, in processes of its own. */
  function run(...args: string[]): Promise<{ exitCode: number; out: string; err: string }> {
    const env = { PATH: process.env['PATH'], HOME: dataDir, DATABASE_URL: databaseUrl(postgres.connection) }
    const all = [sources.path('cli/main.js'), '--data', dataDir, 'state', 'migrate', '--from', old.folder, ...args]
    return new Promise((settle) => {
      const child = execFile(process.execPath, all, { env }, (error, out, err) =>
        settle({ exitCode: typeof error?.code === 'number' ? error.code : 0, out, err }),
      )
      child.stdin?.end()
    })
  }

  const dump = (nodes: string) => `COPY public.sandlabx_nodes (id, name, os_type, user_id) FROM stdin;
${nodes}\\.
COPY public.sandlabx_users (id, email, role) FROM stdin;
${ANN}\tann@school.example\tinstructor
\\.
`

  it('says with a code of its own that old records can not be read, and what to do', async () => {
    await old.write('old.sql', dump(`${WEB}\tweb\n`))
    const { exitCode, err } = await run('--yes', '--json')
    expect(exitCode).toBe(78)
    expect(JSON.parse(err)).toMatchObject({ error: { code: 'state_unreadable', hint: expect.any(String) } })
    expect(await readdir(dataDir)).toEqual([])
  })

  it('needs --yes where there is no terminal', async () => {
    await old.base('alpine-3.qcow2', 7)
    await old.disk(WEB, 'alpine-3.qcow2', 9)
    await old.write('old.sql', dump(`${WEB}\tweb\talpine\t${ANN}\n`))
    const refused = await run()
    expect(refused).toMatchObject({ exitCode: 2, err: expect.stringContaining('--yes') })
    const shown = await run('--dry-run')
    expect(shown).toMatchObject({ exitCode: 0, out: expect.stringContaining('nothing was changed') })
    expect(await readdir(dataDir)).toEqual([])
  })

  it('brings nodes and accounts over, and the passwords that it tells open the door', async () => {
    const { exitCode, out } = await run('--yes', '--json')
    expect(exitCode).toBe(0)
    const report = migrationReportSchema.parse((JSON.parse(out) as { report: unknown }).report)
    expect(report).toMatchObject({ nodesAfter: 1, passwords: [{ login: 'ann' }] })
    const database = openDatabase(postgres.connection, createLog('silent'))
    try {
      const verified = createAccounts(database).verifyPassword('ann', report.passwords[0]?.password ?? '')
      expect(await verified).toMatchObject({ id: ANN, role: 'instructor', mustChangePassword: true })
    } finally {
      await database.close()
    }
  })

  it('ends with 3 when some stay behind, and says which and why', async () => {
    await old.write('old.sql', dump(`${WEB}\tweb\talpine\t${ANN}\n${LOST}\tlost\trouter\t\\N\n`))
    const { exitCode, out, err } = await run('--yes')
    expect(exitCode).toBe(3)
    expect(err).toContain('"lost"  STAYS BEHIND: Its base image router.qcow2 was not found')
    expect(out).toContain('There was nothing to bring over')
  })

  it('deletes old disks only when told, those that came over', async () => {
    const [folder] = await readdir(join(dataDir, 'state/migrations'))
    const report = join(dataDir, 'state/migrations', folder ?? '', 'report.json')
    const { exitCode, out } = await run('--delete-old-of', report, '--yes')
    expect({ exitCode, out }).toMatchObject({ exitCode: 0, out: expect.stringContaining('Deleted 1 old disks') })
    expect(await readdir(join(old.folder, 'overlays'))).toEqual([])
  })
})
