import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { untilSeen } from '../support/until.js'
import { untilImages } from './belongings.js'
import { openSerial } from './serial-bridge.js'
import { docker, openStack, requireEngine, type Stack } from './stack.js'

jest.setTimeout(600_000)

let stack: Stack
const nodes: { id: string; name: string }[] = []

beforeAll(async () => {
  await requireEngine()
  stack = await openStack({ environment: { COMPOSE_FILE: 'docker-compose.yml:compose.isolated.yml' } })
  await stack.open()
  await untilImages(stack)
}, 900_000)
afterAll(async () => {
  if (!stack) return
  const left = await containersOfNodes()
  if (left.length > 0) await docker('rm', '--force', ...left) // they are not Compose's, and outlive `down`
  await stack.remove()
}, 300_000)

const GUEST = { guestUser: 'student', guestPassword: 'counting sheep' }
const COUNTER = 'i=0; while :; do i=$((i+1)); echo "counted $i"; sleep 0.2; done'

/** In the guest's shell, from its boot on. */
async function beginToCount(id: string): Promise<void> {
  const line = await openSerial(stack, id)
  await line.waitFor(/login: /, 300_000) // all containers together have the weight of one process of the machine's own
  line.type('\r')
  await line.signIn(GUEST.guestUser, GUEST.guestPassword)
  line.type(`${COUNTER}\r`)
  await line.waitFor(/counted 10\n/)
  line.close()
}

/** What a node's serial line shows to who comes to it, until it shows this. */
async function shown(id: string, pattern: RegExp, timeoutMs?: number): Promise<string> {
  const line = await openSerial(stack, id)
  try {
    return await line.waitFor(pattern, timeoutMs)
  } finally {
    line.close()
  }
}

/** The first may be cut off. */
const countsIn = (text: string) => [...text.matchAll(/\ncounted (\d+)(?=\n)/g)].map(([, count]) => Number(count))

async function containersOfNodes(): Promise<string[]> {
  const found = await docker('ps', '--all', '--quiet', '--filter', `label=sandlabx.project=${stack.project}`)
  return found.split('\n').filter((id) => id !== '')
}

/** What Docker says of the container of a node. */
async function containerOf(id: string) {
  return JSON.parse(await docker('inspect', `${stack.project}-node-${id}`))[0]
}

/** Each container, which one it is and since when it runs. */
async function lives(): Promise<string[]> {
  const format = '{{.Name}} {{.Id}} {{.State.StartedAt}} {{.State.Pid}}'
  const said = await docker('inspect', '--format', format, ...(await containersOfNodes()))
  return said.split('\n').toSorted()
}

describe('each node in a container of its own', () => {
  it('five are made and run', async () => {
    const { send } = await stack.administrator()
    for (const name of ['one', 'two', 'three', 'four', 'five']) {
      const made = await send('POST', '/api/nodes', { name, image: 'tiny', start: true, ...GUEST })
      expect(made).toMatchObject({ status: 201, body: { node: { status: 'running' }, startError: null } })
      nodes.push({ id: made.body.node.id, name })
      if (name === 'one') await beginToCount(made.body.node.id)
    }
    expect(await containersOfNodes()).toHaveLength(5)
  })

  it('has limits, a user of its own, no right, no network, and of the host only disks and images', async () => {
    const users = new Set<string>()
    for (const { id } of nodes) {
      const { HostConfig, Config, Mounts, NetworkSettings } = await containerOf(id)
      expect(HostConfig).toMatchObject({
        Privileged: false,
        CapDrop: ['ALL'],
        ReadonlyRootfs: true,
        NetworkMode: 'none',
        PidMode: '',
        Memory: (128 + 32 + 512) * 1024 ** 2,
        CpuQuota: 100_000,
        PidsLimit: 97,
        SecurityOpt: ['no-new-privileges:true'],
      })
      expect(HostConfig.CapAdd ?? []).toEqual([])
      expect(HostConfig.Devices ?? []).toEqual([])
      expect(Object.keys(NetworkSettings.Networks)).toEqual(['none'])
      expect(Mounts.map(({ Destination, RW }: { Destination: string; RW: boolean }) => `${Destination} ${RW}`)).toEqual(
        expect.arrayContaining(['/images false', '/overlays true', '/run/sandlabx true']),
      )
      expect(Mounts).toHaveLength(3)
      users.add(Config.User)
    }
    expect(users.size).toBe(5)
    const [first] = nodes
    const status = await docker('exec', `${stack.project}-node-${first?.id}`, 'cat', '/proc/1/status')
    expect(status).toMatch(/^CapEff:\s+0+$/m)
    expect(status).toMatch(/^CapBnd:\s+0+$/m)
    expect(status).toMatch(/^NoNewPrivs:\s+1$/m)
    expect(status).toMatch(/^Seccomp:\s+2$/m)
  })

  it("reads neither another node's disk nor its folder", async () => {
    const [first, second] = nodes
    const name = `${stack.project}-node-${first?.id}`
    const tried = (command: string) =>
      docker('exec', name, 'sh', '-c', `${command} 2>&1 || true`).then((said) => said.split('\n').at(-1))
    expect(await tried(`head -c 1 /overlays/node_${second?.id}.qcow2`)).toMatch(/denied/)
    expect(await tried('ls /overlays')).toMatch(/denied/)
    expect(await tried('ls /run/sandlabx')).toMatch(/denied/)
    const folder = `/run/sandlabx/${second?.id.replaceAll('-', '').slice(0, 12)}`
    for (const file of ['arguments', 'launch.json', 'io/serial.log'])
      expect(await tried(`cat ${folder}/${file}`)).toMatch(/denied/)
    expect(await tried('ls /app/state /secrets')).toMatch(/No such file/)
  })

  it("only the broker has Docker's socket, and the broker has no network", async () => {
    for (const service of ['backend', 'guacd', 'postgres', 'broker']) {
      const [{ Mounts, NetworkSettings, HostConfig }] = JSON.parse(
        await docker('inspect', await stack.container(service)),
      )
      const hasSocket = JSON.stringify(Mounts).includes('docker.sock')
      expect(`${service} ${hasSocket}`).toBe(`${service} ${service === 'broker'}`)
      if (service !== 'broker') continue
      expect(Object.keys(NetworkSettings.Networks)).toEqual(['none'])
      expect(HostConfig).toMatchObject({ Privileged: false, CapDrop: ['ALL'], ReadonlyRootfs: true })
      expect(HostConfig.CapAdd ?? []).toEqual([])
    }
    const { checks } = (await (await stack.administrator()).send('GET', '/api/health')).body
    const isolation = checks.find(({ id }: { id: string }) => id === 'isolation')
    expect(isolation).toMatchObject({ state: 'ok', message: expect.stringContaining('container of its own') })
  })

  it('an SSH console leads to a guest in its container, by the key of the lab', async () => {
    const { send } = await stack.administrator()
    const made = await send('POST', '/api/nodes', { name: 'server', image: 'debian-12', start: true })
    expect(made).toMatchObject({ status: 201, body: { startError: null } })
    const { id, guestUser } = made.body.node
    await shown(id, /login: /, 300_000)
    const line = await openSerial(stack, id, 'ssh')
    try {
      await line.waitFor(/\$ $/, 120_000)
      expect(await line.run('id -un')).toBe(guestUser)
    } finally {
      line.close()
    }
    expect((await send('POST', `/api/nodes/${id}/stop`, { now: true })).status).toBeLessThan(300)
    expect(await containersOfNodes()).toHaveLength(5)
  })

  it('a node with internet is refused, with the reason', async () => {
    const { send } = await stack.administrator()
    const made = await send('POST', '/api/nodes', { name: 'online', image: 'tiny', internet: true, start: true })
    expect(made.body.startError.message).toContain('without a network')
    expect(await containersOfNodes()).toHaveLength(5)
  })
})

describe('what runs when the backend is replaced', () => {
  it('goes on: `up --build` with a changed backend restarts none of five guests', async () => {
    const [first] = nodes
    const [before, backend] = [await lives(), await stack.container('backend')]
    const counted = countsIn(await shown(first?.id ?? '', /[^]*counted \d+\n/)).at(-1) ?? 0

    await appendFile(join(stack.folder, 'backend/src/main.ts'), "\nexport const build = 'another'\n")
    await stack.up('--build')

    expect(await stack.container('backend')).not.toBe(backend)
    expect(await lives()).toEqual(before)
    const { send } = await stack.administrator()
    for (const { id } of nodes) expect((await send('GET', `/api/nodes/${id}`)).body.node.status).toBe('running')
    // What it said before is shown again first. Neither a number is missing nor one there twice: the shell counts on.
    const counts = countsIn(await shown(first?.id ?? '', new RegExp(`counted ${counted + 20}\\n`)))
    expect(counts).toEqual(counts.map((_, index) => (counts[0] ?? 0) + index))
  })

  it('also goes on through `down` and `up`', async () => {
    const before = await lives()
    await stack.compose('down')
    await stack.up()
    expect(await lives()).toEqual(before)
    const { send } = await stack.administrator()
    for (const { id } of nodes) expect((await send('GET', `/api/nodes/${id}`)).body.node.status).toBe('running')
  })

  it('a node that is stopped leaves no container; one that is suspended goes on in another', async () => {
    const { send } = await stack.administrator()
    const [, second, third] = nodes
    expect((await send('POST', `/api/nodes/${second?.id}/stop`, { now: true })).status).toBeLessThan(300)
    expect((await send('POST', `/api/nodes/${third?.id}/suspend`)).status).toBeLessThan(300)
    expect(await containersOfNodes()).toHaveLength(3)
    const resumed = await send('POST', `/api/nodes/${third?.id}/start`)
    expect(resumed.body.node.status).toBe('running')
    expect(await containersOfNodes()).toHaveLength(4)
  })
})

describe('without the broker', () => {
  it('nothing is started, which is said; what runs goes on, and all is well when it is back', async () => {
    const before = await lives()
    await stack.compose('stop', 'broker')
    const { send } = await stack.administrator()
    const [first, second] = nodes
    const refused = await send('POST', `/api/nodes/${second?.id}/start`)
    expect(refused.status).toBeGreaterThanOrEqual(400)
    expect(JSON.stringify(refused.body)).toContain('The broker, which makes the containers of nodes, does not answer')
    const { checks } = (await send('GET', '/api/health')).body
    const isolation = checks.find(({ id }: { id: string }) => id === 'isolation')
    expect(isolation).toMatchObject({ state: 'failed', hint: expect.stringContaining('docker compose') })
    expect((await send('GET', `/api/nodes/${first?.id}`)).body.node.status).toBe('running')
    expect(await lives()).toEqual(before)
    await stack.compose('start', 'broker')
    await untilSeen('the broker', async () => {
      const started = await send('POST', `/api/nodes/${second?.id}/start`)
      return started.status < 300 && started.body.node.status === 'running'
    })
  })
})
