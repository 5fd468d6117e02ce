import { chmod, chown, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { untilSeen } from '../support/until.js'
import { fill } from './belongings.js'
import { docker, openStack, requireEngine, type Stack } from './stack.js'

jest.setTimeout(300_000)

let stack: Stack
const others: Stack[] = []

/** A user's clone as it often is: his own, and closed to everybody else. */
const SOMEBODY = 12_345

beforeAll(async () => {
  await requireEngine()
  stack = await openStack()
  for (const name of ['overlays', 'images']) {
    const folder = join(stack.folder, name)
    await mkdir(folder, { recursive: true })
    await chown(folder, SOMEBODY, SOMEBODY)
    await chmod(folder, 0o700)
  }
  await stack.open()
  await fill(stack)
}, 900_000)
afterAll(async () => {
  for (const other of others) await other.remove()
  await stack?.remove()
}, 300_000)

const inside = (service: string, ...command: string[]) => stack.tryCompose('exec', '-T', service, ...command)

async function statusOf(service: string, pid: string): Promise<Record<string, string>> {
  const { stdout } = await inside(service, 'cat', `/proc/${pid}/status`)
  return Object.fromEntries(stdout.split('\n').map((line) => line.split(/:\s+/, 2) as [string, string]))
}

describe('the walls of a stack', () => {
  it('each node has a user and a network of its own, also where the folder was closed and of somebody else', async () => {
    const { send } = await stack.administrator()
    const node = (await send('POST', '/api/nodes', { name: 'walled', image: 'tiny', start: true })).body.node
    const pid = (await stack.compose('exec', '-T', 'backend', 'sh', '-c', 'cat /run/sandlabx/*/pid')).trim()
    const [qemu, backend] = [await statusOf('backend', pid), await backendStatus()]
    expect(Number(qemu['Uid']?.split('\t')[0])).toBeGreaterThan(1_000_000)
    expect(qemu).toMatchObject({ CapEff: NOTHING, CapPrm: NOTHING, NoNewPrivs: '1', Seccomp: '2' })
    // Nothing can be given back: neither devices nor rights.
    expect(BigInt(`0x${backend['CapBnd']}`) & ((1n << MKNOD) | (1n << SETPCAP) | (1n << SYS_ADMIN))).toBe(0n)
    expect(backend).toMatchObject({ NoNewPrivs: '1', Seccomp: '2' })
    const { checks } = (await send('GET', '/api/health')).body
    const isolation = checks.find(({ id }: { id: string }) => id === 'isolation')
    expect(isolation.message).toContain("Each node's QEMU runs as a user of its own")
    expect(isolation.message).toContain('QEMU is in a network without addresses')
    // What a guest that has taken QEMU over would be: that user, in that network. From there nothing answers.
    const routes = await inside('backend', 'cat', `/proc/${pid}/net/route`)
    expect(routes.stdout.trim().split('\n')).toHaveLength(1)
    await send('POST', `/api/nodes/${node.id}/stop`, { now: true })
  })

  it('QEMU as another user reads neither the state, nor a secret, nor another disk', async () => {
    const nobody = ['setpriv', '--reuid=1900000777', '--regid=1900000777', '--clear-groups', '--']
    const files = ['/app/state/nodes-state.json', '/app/state/local-token', '/secrets/database-password']
    for (const file of files) expect((await inside('backend', ...nobody, 'cat', file)).stderr).toMatch(/denied/)
    expect((await inside('backend', ...nobody, 'ls', '/overlays')).stderr).toMatch(/denied/)
    const [disk] = (await stack.compose('exec', '-T', 'backend', 'sh', '-c', 'ls /overlays/node_*.qcow2')).split('\n')
    expect((await inside('backend', ...nobody, 'cat', disk ?? '')).stderr).toMatch(/denied/)
  })

  it('guacd and PostgreSQL reach nothing outside', async () => {
    for (const service of ['guacd', 'postgres']) {
      const networks = await docker(
        'inspect',
        '--format',
        '{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}',
        await stack.container(service),
      )
      expect(networks.trim()).toBe(`${stack.project}_inside`)
    }
    expect(await docker('network', 'inspect', '--format', '{{.Internal}}', `${stack.project}_inside`)).toBe('true')
    const tried = await inside('postgres', 'bash', '-c', 'timeout 3 bash -c "</dev/tcp/192.0.2.1/80"')
    expect(tried.exitCode).not.toBe(0)
  })

  it('every service is read-only, limited, without new privileges, and has no Docker socket', async () => {
    for (const service of ['backend', 'guacd', 'postgres']) {
      const [{ HostConfig, Mounts }] = JSON.parse(await docker('inspect', await stack.container(service)))
      expect(HostConfig).toMatchObject({ ReadonlyRootfs: true, CapDrop: ['ALL'], Privileged: false })
      expect(HostConfig.SecurityOpt).toContain('no-new-privileges:true')
      expect(HostConfig.Memory).toBeGreaterThan(0)
      expect(HostConfig.PidsLimit).toBeGreaterThan(0)
      expect(HostConfig.LogConfig.Config['max-size']).toBe('10m')
      expect(JSON.stringify(Mounts)).not.toContain('docker.sock')
    }
  })

  it('no password is a default: the database takes none but the generated one', async () => {
    for (const password of ['', 'sandlabx', 'postgres', 'password', 'admin'])
      expect(
        (
          await inside(
            'postgres',
            'env',
            `PGPASSWORD=${password}`,
            'psql',
            '-w',
            '-h',
            'postgres',
            '-U',
            'sandlabx',
            '-c',
            'select 1',
          )
        ).exitCode,
      ).not.toBe(0)
    const { stdout } = await inside('backend', 'cat', '/secrets/database-password')
    expect(stdout).toMatch(/^[0-9a-f]{64}$/)
  })
})

describe('resetting from Compose', () => {
  it('shows what would be lost, resets, and takes it back', async () => {
    const plan = await stack.compose('run', '--rm', '-T', 'reset', '--owner', 'anna', '--dry-run')
    expect(plan).toContain('kept')
    const done = await stack.compose('run', '--rm', '-T', 'reset', '--name', 'kept', '--force', '--json')
    const { operation } = JSON.parse(done)
    expect(operation).toMatchObject({ state: 'succeeded', items: [{ name: 'kept', error: null }] })
    expect(await stack.compose('run', '--rm', '-T', 'reset', 'undo', operation.id, '--force')).toMatch(/kept|back/)
  })

  it('means all nodes when none is named, and asks before it does', async () => {
    const all = await stack.tryCompose('run', '--rm', '-T', 'reset', '--dry-run')
    expect(all.stdout).toContain('walled')
    const asked = await stack.tryCompose('run', '--rm', '-T', 'reset')
    expect(asked.exitCode).toBe(2)
    expect(asked.stderr).toContain('--force')
  })
})

describe('bad days', () => {
  it('a second stack on the same folder does not start, and says why', async () => {
    const second = await openStack({ folder: stack.folder })
    others.push(second)
    await second.tryCompose('up', '-d', '--no-build')
    const said = await untilSeen(
      'its reason',
      async () => {
        const log = await second.compose('logs', '--no-log-prefix', 'backend')
        return log.includes('in use by another SandLabX') && log
      },
      REFUSAL_MS,
    )
    expect(said).toContain('folders of its own')
    expect(said).not.toContain('listens on')
  })

  it.each([
    ['is not mounted', '      - ./overlays:/overlays:rw\n', '', '/overlays is not mounted'],
    ['is read-only', './overlays:/overlays:rw', './overlays:/overlays:ro', '/overlays is read-only'],
  ])('when /overlays %s it does not start, and says why', async (_how, line, instead, reason) => {
    const other = await openStack()
    others.push(other)
    const file = join(other.folder, 'docker-compose.yml')
    const text = await readFile(file, 'utf8')
    expect(text).toContain(line)
    await writeFile(file, text.replace(line, instead))
    await other.tryCompose('up', '-d', '--no-build')
    const said = await untilSeen(
      'its reason',
      async () => {
        const log = await other.compose('logs', '--no-log-prefix', 'backend')
        return log.includes(reason) && log
      },
      REFUSAL_MS,
    )
    expect(said).toContain('docker-compose.yml')
    expect(said).not.toContain('listens on')
    await other.remove()
  })
})

/** A database is made before it on a first start; on a busy machine that takes its time. */
const REFUSAL_MS = 120_000
const NOTHING = '0000000000000000'
const [MKNOD, SETPCAP, SYS_ADMIN] = [27n, 8n, 21n]

/** Node.js itself: PID 1 is tini. */
async function backendStatus(): Promise<Record<string, string>> {
  const { pid } = JSON.parse(await stack.compose('exec', '-T', 'backend', 'cat', '/run/sandlabx/backend.json'))
  return statusOf('backend', String(pid))
}
