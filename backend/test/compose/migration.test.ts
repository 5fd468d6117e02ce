import { randomBytes } from 'node:crypto'
import { chmod, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { layoutOf } from '../../src/domain/layout.js'
import { readsAs } from '../support/disks.js'
import { oldInstallation, oldNode, type OldInstallation } from '../support/old-installation.js'
import { makeTinyImage } from '../support/tiny-guest.js'
import { untilSeen } from '../support/until.js'
import { docker, IMAGE, openStack, requireEngine, type Ended, type Stack } from './stack.js'

jest.setTimeout(600_000)

const WEB = '0b2f7a36-31f4-4a3e-9c53-1d5f2b1f7a01'
const DB = '0b2f7a36-31f4-4a3e-9c53-1d5f2b1f7a02'
const LATER = '0b2f7a36-31f4-4a3e-9c53-1d5f2b1f7a03'
const ANN = '6f1f7d0e-6a55-4f1e-8f5c-0d8d3f1a0002'

/** The old names were fixed; these are of this run alone. */
const own = `sandlabx-old-${randomBytes(4).toString('hex')}`
const NAMES = {
  SANDLABX_OLD_BACKEND: `${own}-backend`,
  SANDLABX_OLD_POSTGRES: `${own}-postgres`,
  SANDLABX_OLD_STATE_VOLUME: `${own}-state`,
  SANDLABX_OLD_OVERLAYS_VOLUME: `${own}-overlays`,
}

let stack: Stack
let old: OldInstallation

beforeAll(async () => {
  await requireEngine()
  old = await oldInstallation()
  stack = await openStack()
  await stack.open()
  await stack.compose('stop', 'backend')
  await makeOldInstallation()
}, 900_000)
afterAll(async () => {
  for (const name of [NAMES.SANDLABX_OLD_BACKEND, NAMES.SANDLABX_OLD_POSTGRES]) await quietly('rm', '-f', '-v', name)
  await stack?.remove()
  for (const volume of [NAMES.SANDLABX_OLD_STATE_VOLUME, NAMES.SANDLABX_OLD_OVERLAYS_VOLUME, `${own}-pgdata`]) {
    await quietly('volume', 'rm', '-f', volume)
  }
  await old?.remove()
}, 300_000)

const quietly = (...args: string[]) => docker(...args).catch(() => '') // it may not be there

/**
 * All three layouts at once, stopped: a state within the container and its disk in a volume; a state in a volume and its
 * disk in the folder; a database.
 */
async function makeOldInstallation(): Promise<void> {
  const made = await makeTinyImage(layoutOf(old.folder), { id: 'alpine-3' })
  await chmod(join(old.folder, 'images', made.file), 0o644)
  await old.disk(WEB, 'alpine-3.qcow2', 9, 'volume')
  await old.disk(DB, 'alpine-3.qcow2', 11, 'overlays')
  const inside = await old.state([oldNode(WEB, 'My Web #1', { overlayPath: `../overlays/node_${WEB}.qcow2` })])
  const inVolume = await old.state([oldNode(DB, 'db')], 'in-volume.json')
  const { SANDLABX_OLD_BACKEND: backend, SANDLABX_OLD_OVERLAYS_VOLUME: overlays } = NAMES
  const images = `${join(old.folder, 'images')}:/images:ro`
  const mounts = ['-v', `${overlays}:/overlays`, '-v', images, '-v', `${NAMES.SANDLABX_OLD_STATE_VOLUME}:/app/state`]
  await docker('create', '--name', backend, ...mounts, IMAGE, 'true')
  await docker('cp', inside, `${backend}:/app/nodes-state.json`)
  await docker('cp', inVolume, `${backend}:/app/state/nodes-state.json`)
  await docker('cp', join(old.folder, 'volume', `node_${WEB}.qcow2`), `${backend}:/overlays/`)
  await fillOldDatabase(NAMES.SANDLABX_OLD_POSTGRES)
}

async function fillOldDatabase(name: string): Promise<void> {
  const environment = ['-e', 'POSTGRES_USER=lab', '-e', 'POSTGRES_PASSWORD=secret', '-e', 'POSTGRES_DB=lab']
  const data = ['-v', `${own}-pgdata:/var/lib/postgresql/data`]
  await docker('run', '-d', '--network', 'none', '--name', name, ...environment, ...data, 'postgres:17')
  const ask = (sql: string) =>
    docker('exec', '-e', 'PGPASSWORD=secret', name, 'psql', '-q', '-h', '127.0.0.1', '-U', 'lab', 'lab', '-c', sql)
  await untilSeen(
    'the old database',
    async () =>
      ask('select 1').then(
        () => true,
        () => false,
      ),
    120_000,
  )
  await ask(`create table sandlabx_users (id uuid primary key, email text, role text, password_hash text);
    create table sandlabx_nodes (id uuid primary key, name text, os_type text, status text, overlay_path text, ram_mb int,
      cpu_cores int, image_metadata jsonb, user_id uuid, created_at timestamptz default now());
    insert into sandlabx_users values ('${ANN}', 'ann@school.example', 'instructor', 'x');
    insert into sandlabx_nodes values ('${LATER}', 'later', 'alpine', 'running', '/overlays/node_${LATER}.qcow2', 256, 1,
      '{}', '${ANN}')`)
  await docker('stop', name)
}

/** The script, as a person runs it; the rest of the old folder is named. */
async function migrate(...args: string[]): Promise<Ended> {
  const environment = Object.entries(NAMES).map(([name, value]) => `export ${name}=${value}`)
  const line = `./migrate-state.sh --target compose --from ${old.folder} ${args.join(' ')}`
  return stack.shell(`${environment.join('\n')}\n${line}`).then(
    (stdout) => ({ exitCode: 0, stdout, stderr: '' }),
    (error: unknown) => {
      const { code, stdout = '', stderr = '' } = error as { code?: number; stdout?: string; stderr?: string }
      return { exitCode: code ?? 1, stdout, stderr }
    },
  )
}

/** The answer is the last line that is JSON: Compose has its say before. */
function answerOf({ exitCode, stdout, stderr }: Ended) {
  const line = stdout.split('\n').findLast((one) => one.startsWith('{'))
  if (exitCode !== 0 || line === undefined) throw new Error(`it ended with ${exitCode}: ${stdout}\n${stderr}`)
  return JSON.parse(line) as {
    plan?: { nodes: unknown[] }
    report?: { plan: { nodes: unknown[] }; passwords: unknown }
  }
}

describe('migrate-state.sh with Docker', () => {
  it('finds the container, the volumes and the database by itself while all are stopped, and changes nothing', async () => {
    const { plan } = answerOf(await migrate('--dry-run', '--json'))
    expect(plan?.nodes).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ id: WEB, action: 'copy', name: 'my-web-1' }),
        expect.objectContaining({ id: DB, action: 'copy', name: 'db' }),
        expect.objectContaining({ id: LATER, action: 'empty', owner: 'ann' }),
      ]),
    )
    expect(await readdir(join(stack.folder, 'overlays'))).not.toContain(`node_${WEB}.qcow2`)
    expect((await readdir(stack.folder)).filter((name) => name.startsWith('.migrate-'))).toEqual([])
  })

  it('refuses without a terminal and without --yes, with the next step', async () => {
    const { exitCode, stderr } = await migrate()
    expect(exitCode).toBe(2)
    expect(stderr).toContain('--yes')
  })

  it('brings everything over, and what came over starts', async () => {
    const { report } = answerOf(await migrate('--yes', '--json'))
    expect(report).toMatchObject({ nodesBefore: 0, nodesAfter: 3, verifiedDisks: 3, passwords: [{ login: 'ann' }] })
    expect(await readsAs(join(stack.folder, 'overlays', `node_${WEB}.qcow2`), 9, 2)).toBe(true)
    expect(await readsAs(join(stack.folder, 'overlays', `node_${DB}.qcow2`), 11, 2)).toBe(true)
    await stack.up()
    const { send } = await stack.administrator()
    const { body } = await send('GET', '/api/nodes')
    expect(body.nodes).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ name: 'my-web-1', status: 'stopped', overlayPath: `/overlays/node_${WEB}.qcow2` }),
        expect.objectContaining({ name: 'later', ownerLogin: 'ann' }),
      ]),
    )
    expect((await send('POST', `/api/nodes/${WEB}/start`, {})).status).toBeLessThan(300)
    const isRunning = async () => (await send('GET', `/api/nodes/${WEB}`)).body.node.status === 'running'
    await untilSeen('the old node, running', isRunning, 60_000)
    await send('POST', `/api/nodes/${WEB}/stop`, { now: true })
  })

  it('says what to do while the new one runs, and does nothing more the second time', async () => {
    const running = await migrate('--yes')
    expect(running).toMatchObject({ exitCode: 75, stderr: expect.stringContaining('docker compose stop backend') })
    await stack.compose('stop', 'backend')
    const { report } = answerOf(await migrate('--yes', '--json'))
    expect(report).toMatchObject({ nodesBefore: 3, nodesAfter: 3, backup: null })
  })
})
