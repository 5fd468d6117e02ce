import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { request as send, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Docker from 'dockerode'
import { createBroker } from '../../src/broker/broker.js'
import { listen } from '../../src/broker/listen.js'
import { findPlace } from '../../src/broker/place.js'
import { nodeIdSchema } from '../../src/domain/ids.js'
import { connectBroker } from '../../src/hosts/broker-client.js'
import { startFakeDocker, type FakeDocker } from './fake-docker.js'

const UIDS = { first: 1_900_000_000, count: 65_536 }
const NODE = '0a1b2c3d-1111-4222-8333-444455556666'
const CREATE = { node: NODE, memoryMib: 1024, cpus: 2, uid: UIDS.first + 7 }
const NAME = `lab-node-${NODE}`

/** What Docker says of the broker's own container in Compose. */
const OWN = {
  Image: 'sha256:feed',
  Config: { Labels: { 'com.docker.compose.project': 'lab' } },
  HostConfig: { Devices: [] as object[] },
  Mounts: [
    { Type: 'bind', Source: '/home/teacher/sandlabx/overlays', Destination: '/overlays' },
    { Type: 'bind', Source: '/home/teacher/sandlabx/images', Destination: '/images' },
    {
      Type: 'volume',
      Name: 'lab_runs',
      Source: '/var/lib/docker/volumes/lab_runs/_data',
      Destination: '/run/sandlabx',
    },
    { Type: 'bind', Source: '/var/run/docker.sock', Destination: '/var/run/docker.sock' },
  ],
}

let docker: FakeDocker
let folder: string
let socket: string
let server: Server
let said: string[]

async function open(own: object = OWN): Promise<void> {
  docker = await startFakeDocker(own)
  folder = await mkdtemp(join(tmpdir(), 'sbx-broker-'))
  socket = join(folder, 'socket')
  said = []
  const engine = new Docker({ socketPath: docker.socket })
  const broker = createBroker({ docker: engine, place: await findPlace(engine, 'own'), uids: UIDS })
  server = await listen(broker, socket, (line) => said.push(line))
  docker.asked.length = 0
}

beforeEach(() => open())
afterEach(() => close())

async function close(): Promise<void> {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  await docker.close()
  await rm(folder, { recursive: true, force: true })
}

function call(path: string, body: unknown, method = 'POST'): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    const request = send({ socketPath: socket, path, method }, (response) => {
      let heard = ''
      response.on('data', (chunk: Buffer) => (heard += chunk.toString('utf8')))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text: heard }))
    })
    request.on('error', reject)
    request.end(text)
  })
}

describe('the broker', () => {
  it('asks for a container with nothing but what a QEMU needs, of which the caller said four values', async () => {
    expect(await call('/create', CREATE)).toEqual({ status: 204, text: '' })
    expect(docker.containers.get(NAME)?.body).toEqual({
      name: NAME,
      Image: 'sha256:feed',
      Entrypoint: ['/app/docker/node'],
      Cmd: ['/run/sandlabx/0a1b2c3d1111'],
      User: '1900000007:1900000007',
      WorkingDir: '/app',
      Hostname: 'node',
      Labels: { 'sandlabx.node': NODE, 'sandlabx.project': 'lab' },
      StopSignal: 'SIGTERM',
      Healthcheck: { Test: ['NONE'] },
      AttachStdin: false,
      AttachStdout: false,
      AttachStderr: false,
      OpenStdin: false,
      Tty: false,
      HostConfig: {
        Privileged: false,
        CapDrop: ['ALL'],
        SecurityOpt: ['no-new-privileges:true'],
        ReadonlyRootfs: true,
        NetworkMode: 'none',
        IpcMode: 'none',
        Memory: (1024 + 256 + 512) * 1024 ** 2,
        MemorySwap: (1024 + 256 + 512) * 1024 ** 2,
        CpuPeriod: 100_000,
        CpuQuota: 200_000,
        PidsLimit: 98,
        OomScoreAdj: 900,
        Ulimits: [{ Name: 'core', Soft: 0, Hard: 0 }],
        LogConfig: { Type: 'none', Config: {} },
        AutoRemove: true,
        RestartPolicy: { Name: '' },
        Mounts: [
          { Type: 'bind', Source: '/home/teacher/sandlabx/images', Target: '/images', ReadOnly: true },
          { Type: 'bind', Source: '/home/teacher/sandlabx/overlays', Target: '/overlays', ReadOnly: false },
          expect.objectContaining({ Type: 'volume', Source: 'lab_runs', Target: '/run/sandlabx', ReadOnly: false }),
        ],
      },
    })
  })

  it('starts, stops and removes it; what is done already is success', async () => {
    await call('/create', CREATE)
    for (const path of ['/start', '/start']) expect((await call(path, { node: NODE })).status).toBe(204)
    expect(docker.containers.get(NAME)?.isRunning).toBe(true)
    expect((await call('/stop', { node: NODE, seconds: 4 })).status).toBe(204)
    expect(docker.asked.at(-1)).toContain(`/containers/${NAME}/stop?t=4`)
    expect((await call('/stop', { node: NODE, seconds: 0 })).status).toBe(204)
    for (const path of ['/remove', '/remove']) expect((await call(path, { node: NODE })).status).toBe(204)
    expect(docker.containers.size).toBe(0)
    expect((await call('/start', { node: NODE })).status).toBe(404)
    expect(said).toContain(`remove ${NODE}: done`)
  })

  it('replaces what is left of a container that has ended, and never one that runs', async () => {
    await call('/create', CREATE)
    await call('/create', { ...CREATE, memoryMib: 2048 })
    expect(docker.containers.get(NAME)?.body.HostConfig?.['Memory']).toBe((2048 + 512 + 512) * 1024 ** 2)
    await call('/start', { node: NODE })
    const refused = await call('/create', CREATE)
    expect(refused.status).toBe(409)
    expect(JSON.parse(refused.text)).toMatchObject({ fault: 'conflict' })
    expect(docker.containers.get(NAME)?.isRunning).toBe(true)
  })

  it.each([
    ['an image', { ...CREATE, image: 'evil' }],
    ['a mount', { ...CREATE, mounts: ['/:/host'] }],
    ['a HostConfig', { ...CREATE, HostConfig: { Privileged: true } }],
    ['a command', { ...CREATE, cmd: ['sh'] }],
    ['a prototype', '{"__proto__":{"Privileged":true},"node":"x"}'],
    ['a path for an id', { ...CREATE, node: '../../etc' }],
    ['a path after an id', { ...CREATE, node: `${NODE}/../x` }],
    ['a name of a container', { ...CREATE, node: 'lab-backend-1' }],
    ['a query in an id', { ...CREATE, node: `${NODE}?force=1` }],
    ['an id in upper case', { ...CREATE, node: NODE.toUpperCase() }],
    ['a list of ids', { ...CREATE, node: [NODE] }],
    ['too much memory', { ...CREATE, memoryMib: 1e9 }],
    ['no memory', { ...CREATE, memoryMib: 0 }],
    ['a part of a MiB', { ...CREATE, memoryMib: 1.5 }],
    ['memory as text', { ...CREATE, memoryMib: '1024' }],
    ['too many CPUs', { ...CREATE, cpus: 65 }],
    ['a number that is none', '{"cpus":NaN}'],
    ['root', { ...CREATE, uid: 0 }],
    ['the user of somebody', { ...CREATE, uid: 1000 }],
    ['the user before the first', { ...CREATE, uid: UIDS.first - 1 }],
    ['the user after the last', { ...CREATE, uid: UIDS.first + UIDS.count }],
    ['nothing', ''],
    ['no object', '[]'],
    ['a long body', `{"node":"${'x'.repeat(2000)}"}`],
  ])('refuses %s, and Docker hears nothing', async (_what, body) => {
    expect((await call('/create', body)).status).toBe(400)
    expect(docker.asked).toEqual([])
  })

  it.each([
    ['/stop', { node: NODE, seconds: 3600 }],
    ['/stop', { node: NODE, seconds: 1, signal: 'SIGSTOP' }],
    ['/start', { node: NODE, cpus: 64 }],
    ['/remove', { node: NODE, v: true }],
    ['/remove', { node: `${NODE}%2f..%2fown` }],
  ])('refuses a body for %s with more, or other, than it takes', async (path, body) => {
    expect((await call(path, body)).status).toBe(400)
    expect(docker.asked).toEqual([])
  })

  it.each(['/containers/json', '/exec', '/create/x', '/create?name=x', '/../create', '/'])(
    'has no call %s',
    async (path) => {
      expect((await call(path, CREATE)).status).toBe(404)
      expect((await call(path, '', 'GET')).status).toBe(404)
      expect(docker.asked).toEqual([])
    },
  )

  it.each([
    ['another project', { 'sandlabx.node': NODE, 'sandlabx.project': 'other' }],
    ['another node', { 'sandlabx.node': randomUUID(), 'sandlabx.project': 'lab' }],
    ['somebody', {}],
  ])('touches no container of %s, though it has the name', async (_whose, Labels) => {
    docker.containers.set(NAME, { name: NAME, body: { Labels }, isRunning: true })
    expect((await call('/create', CREATE)).status).toBe(409)
    expect((await call('/start', { node: NODE })).status).toBe(404)
    expect((await call('/stop', { node: NODE, seconds: 0 })).status).toBe(204)
    expect((await call('/remove', { node: NODE })).status).toBe(204)
    expect(docker.containers.get(NAME)?.isRunning).toBe(true)
    expect(docker.asked.filter((line) => /^DELETE|\/(?:stop|start)(?:\?|$)/.test(line))).toEqual([])
  })

  it('says what the engine said when that fails', async () => {
    docker.breakDown()
    const failed = await call('/create', CREATE)
    expect(failed.status).toBe(502)
    expect(JSON.parse(failed.text)).toMatchObject({
      fault: 'docker',
      message: expect.stringContaining('no space left'),
    })
  })

  it("is on a socket that only its owner opens, and takes an earlier broker's place", async () => {
    expect((await stat(socket)).mode & 0o777).toBe(0o600)
    await new Promise((resolve) => server.close(resolve))
    const engine = new Docker({ socketPath: docker.socket })
    server = await listen(
      createBroker({ docker: engine, place: await findPlace(engine, 'own'), uids: UIDS }),
      socket,
      () => undefined,
    )
    expect((await call('/create', CREATE)).status).toBe(204)
  })
})

describe("the backend's side of it", () => {
  const ask = (client = connectBroker(socket)) => ({
    create: () => client.ask('create', { ...CREATE, node: nodeIdSchema.parse(NODE) }),
    start: () => client.ask('start', { node: nodeIdSchema.parse(NODE) }),
    remove: () => client.ask('remove', { node: nodeIdSchema.parse(NODE) }, { patient: false }),
    fault: () => client.fault(),
  })

  it('asks, and says what was refused in the words of the engine', async () => {
    expect(await ask().fault()).toBeUndefined()
    await ask().create()
    await ask().start()
    expect(docker.containers.get(NAME)?.isRunning).toBe(true)
    await expect(ask().create()).rejects.toMatchObject({ code: 'locked', retry: false })
    docker.breakDown()
    await expect(ask().remove()).rejects.toMatchObject({
      code: 'engine',
      retry: true,
      message: expect.stringContaining('no space left'),
    })
  })

  it('waits for a broker that is being started again, and says so where there is none', async () => {
    await new Promise((resolve) => server.close(resolve))
    expect(await ask().fault()).toContain('does not answer')
    await expect(ask().remove()).rejects.toMatchObject({ code: 'engine', message: expect.stringContaining('broker') })
    const patient = ask().create()
    const engine = new Docker({ socketPath: docker.socket })
    const broker = createBroker({ docker: engine, place: await findPlace(engine, 'own'), uids: UIDS })
    server = await listen(broker, socket, () => undefined)
    await patient
    expect(docker.containers.has(NAME)).toBe(true)
  })
})

describe('what the broker finds out about itself', () => {
  it.each([
    ['outside of Compose is refused', { ...OWN, Config: { Labels: {} } }, /Docker Compose/],
    ['without a mount that nodes need is refused', { ...OWN, Mounts: OWN.Mounts.slice(1) }, /no \/overlays/],
  ])('one %s', async (_what, own, reason) => {
    const other = await startFakeDocker(own)
    await expect(findPlace(new Docker({ socketPath: other.socket }), 'own')).rejects.toThrow(reason)
    await other.close()
  })

  it('disks in a volume are mounted as that volume', async () => {
    const [, ...others] = OWN.Mounts
    await close()
    await open({
      ...OWN,
      Mounts: [{ Type: 'volume', Name: 'disks', Source: '/x', Destination: '/overlays' }, ...others],
    })
    await call('/create', CREATE)
    expect(docker.containers.get(NAME)?.body.HostConfig?.['Mounts']).toContainEqual(
      expect.objectContaining({ Type: 'volume', Source: 'disks', Target: '/overlays' }),
    )
  })
})
