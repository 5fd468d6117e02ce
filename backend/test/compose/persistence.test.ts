import { appendFile, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { untilSeen } from '../support/until.js'
import { belongingsOf, fill, missingFrom, STUDENT, untilImages, type Belongings } from './belongings.js'
import { cutPower, ENGINE, restartEngine } from './engine.js'
import { docker, IMAGE, openStack, requireEngine, type Stack } from './stack.js'

jest.setTimeout(600_000)

let stack: Stack
/** Of the last look; what a command may not take away. */
let before: Belongings
let firstPassword: string

beforeAll(async () => {
  await requireEngine()
  stack = await openStack()
  await stack.open()
}, 900_000)
afterAll(() => stack?.remove(), 300_000)

describe('a new installation', () => {
  it('is empty: no node, no person but the first administrator', async () => {
    const found = await belongingsOf(stack)
    expect(found.nodes).toEqual([])
    expect(found.accounts).toEqual([{ login: 'admin', role: 'administrator' }])
    expect((await readdir(join(stack.folder, 'overlays'))).filter((name) => name.endsWith('.qcow2'))).toEqual([])
  })

  it('has the starter images in the folder that was empty', async () => {
    expect((await untilImages(stack)).toSorted()).toEqual(['debian-12', 'tiny'])
    expect(await readdir(join(stack.folder, 'images'))).toEqual(
      expect.arrayContaining(['tiny.qcow2', 'tiny.image.json', 'debian-12.qcow2', 'debian-12.image.json']),
    )
  })

  it("tells the first administrator's password once in its log, and on request until it is changed", async () => {
    const log = await stack.compose('logs', '--no-log-prefix', 'backend')
    const told = [...log.matchAll(/first administrator is "admin" with the password (\S+)/g)]
    expect(told).toHaveLength(1)
    firstPassword = told[0]?.[1] ?? ''
    expect(await stack.sandlabx('admin', 'first-login')).toContain(firstPassword)
    const { send } = await stack.administrator()
    const signIn = await send('POST', '/api/session', { login: 'admin', password: firstPassword })
    expect(signIn.status).toBe(200)
  })

  it('keeps what is made in it where PERSISTENCE.md says', async () => {
    await fill(stack)
    before = await belongingsOf(stack)
    expect(before.nodes).toMatchObject([
      { name: 'kept', owner: STUDENT.login, drives: expect.arrayContaining(['data']) },
    ])
    expect(before.nodes[0]?.snapshots).toEqual(['first'])
    const id = before.nodes[0]?.id ?? ''
    // The document of seed 002: the state in its volume, the disks on the host and in the container, their paths.
    const state = await stack.compose('exec', '-T', 'backend', 'cat', '/app/state/nodes-state.json')
    expect(state).toContain(id)
    const onHost = (await readdir(join(stack.folder, 'overlays'))).filter((name) => name.endsWith('.qcow2'))
    const inside = await stack.compose('exec', '-T', 'backend', 'ls', '/overlays')
    for (const name of onHost) expect(inside.split('\n')).toContain(name)
    expect(before.nodes[0]?.overlayPath).toBe(`/overlays/node_${id}.qcow2`)
  })
})

const restartOf = (service: string) => async () => {
  const container = await stack.container(service)
  const pid = Number(await docker('inspect', '--format', '{{.State.Pid}}', container))
  process.kill(pid, 'SIGKILL')
  await untilSeen(
    `another process of ${service}`,
    async () => {
      const now = await docker('inspect', '--format', '{{.State.Running}} {{.State.Pid}}', container)
      return now.startsWith('true') && now !== `true ${pid}`
    },
    60_000,
  )
}

const COMMANDS: [string, () => Promise<unknown>][] = [
  ['`docker compose restart`', () => stack.compose('restart')],
  ['`docker compose stop`, then `start`', async () => (await stack.compose('stop'), await stack.compose('start'))],
  [
    '`docker compose down`, then `up -d`',
    async () => {
      await stack.compose('down')
      process.stdout.write(`docker compose up -d until it answers: ${Math.round(await stack.up())} ms\n`)
    },
  ],
  ['`docker compose up -d --force-recreate`', () => stack.up('--force-recreate')],
  [
    '`docker compose up -d --build` with a changed backend',
    async () => {
      const earlier = await imageOf('backend')
      await appendFile(join(stack.folder, 'backend/src/main.ts'), "\nexport const build = 'another'\n")
      await stack.up('--build')
      expect(await imageOf('backend')).not.toBe(earlier)
    },
  ],
  ['`kill -9` of the backend', restartOf('backend')],
  ['`kill -9` of guacd', restartOf('guacd')],
  ['`kill -9` of PostgreSQL', restartOf('postgres')],
  [
    'removing the images, then `up -d`',
    async () => {
      await stack.compose('down')
      await docker('image', 'rm', '--force', IMAGE)
      await stack.up('--build')
    },
  ],
]
const ENGINE_COMMANDS: typeof COMMANDS = [
  ['a restart of the engine', restartEngine],
  ['a power cut', async () => cutPower(await containersOf())],
]

describe('nodes, drives, snapshots, accounts, the audit, settings, images and disks survive', () => {
  it.each([...COMMANDS, ...(ENGINE === undefined ? [] : ENGINE_COMMANDS)])('%s', async (_command, act) => {
    await act()
    await stack.ready()
    expect(missingFrom(await afterwards(), before)).toEqual([])
    const { send } = await stack.administrator()
    expect((await send('POST', '/api/session', STUDENT)).status).toBe(200)
    before = await belongingsOf(stack)
  })

  it('each of these is a row of PERSISTENCE.md', async () => {
    const text = await readFile(join(stack.folder, 'PERSISTENCE.md'), 'utf8')
    for (const [command] of [...COMMANDS, ...ENGINE_COMMANDS]) expect(text).toContain(`| ${command} |`)
  })

  it('no later start tells a password', async () => {
    const log = await stack.compose('logs', '--no-log-prefix', 'backend')
    expect(log).not.toContain('The first administrator is')
  })
})

/** A block of PERSISTENCE.md, as somebody pastes it into a shell. */
async function pasted(place: Stack, which: 'save' | 'load'): Promise<void> {
  const text = await readFile(join(place.folder, 'PERSISTENCE.md'), 'utf8')
  const block = [...text.matchAll(/```sh\n([^`]*)```/g)].find(([, lines]) => lines?.includes(`${which}() {`))?.[1]
  if (block === undefined) throw new Error(`PERSISTENCE.md does not say how to ${which}`)
  await place.shell(block)
}

describe('a backup by plain copy', () => {
  it('is made and restored by what PERSISTENCE.md says, on another host', async () => {
    before = await belongingsOf(stack)
    await pasted(stack, 'save')
    await stack.ready()
    const elsewhere = await openStack()
    try {
      for (const name of ['disks', 'state', 'database', 'secrets'])
        await rename(join(stack.folder, `${name}.tar.gz`), join(elsewhere.folder, `${name}.tar.gz`))
      await pasted(elsewhere, 'load')
      await elsewhere.ready()
      expect(missingFrom(await belongingsOf(elsewhere), before)).toEqual([])
      expect((await elsewhere.sandlabx('storage', 'verify', '--all')).includes('✗')).toBe(false)
    } finally {
      await elsewhere.remove()
    }
  })
})

describe('what takes something away', () => {
  it('`docker compose down -v` leaves disks and images; the nodes are rebuilt from the records beside them', async () => {
    await stack.compose('down', '-v')
    await stack.compose('up', '-d')
    const { send } = await untilSeen('a new token', () => stack.administrator().catch(() => undefined), 120_000)
    const health = await untilSeen('safe mode', async () => {
      const { body } = await send('GET', '/api/health')
      return body.ready === false && body
    })
    expect(JSON.stringify(health)).toContain('afe mode')
    const rebuilt = await send('POST', '/api/system/rebuild')
    expect(rebuilt.body).toMatchObject({ nodes: 1, ownerless: [{ login: STUDENT.login, nodes: 1 }] })
    await stack.ready()
    const now = await belongingsOf(stack)
    expect(now.accounts).toEqual([{ login: 'admin', role: 'administrator' }])
    expect(now.settings).not.toEqual(before.settings)
    expect(now.disks).toEqual(before.disks)
    expect(now.images).toEqual(before.images)
    const known = ({ nodes }: Belongings) =>
      nodes.map(({ id, name, drives, snapshots }) => ({ id, name, drives, snapshots }))
    expect(known(now)).toEqual(known(before))
    // By overlays/owners.json: whose login it is has the node again.
    expect((await send('POST', '/api/users', { ...STUDENT, role: 'student' })).status).toBe(201)
    before = await belongingsOf(stack)
    expect(before.nodes).toMatchObject([{ name: 'kept', owner: STUDENT.login }])
  })

  it('deleting `overlays/` takes the disks; images stay, and each node is broken with the reason', async () => {
    await stack.compose('stop')
    await rm(join(stack.folder, 'overlays'), { recursive: true })
    await stack.up()
    const { send } = await stack.administrator()
    const { nodes } = (await send('GET', '/api/nodes')).body
    expect(nodes).toMatchObject([{ name: 'kept', status: 'broken' }])
    expect(JSON.stringify(nodes)).toMatch(/missing|not there/)
    expect(missingFrom(await belongingsOf(stack), { ...before, disks: {} })).toEqual([])
  })

  it('both are rows of PERSISTENCE.md', async () => {
    const text = await readFile(join(stack.folder, 'PERSISTENCE.md'), 'utf8')
    for (const row of ['`docker compose down -v`, then `up -d`', 'deleting `overlays/`, then `up -d`'])
      expect(text).toContain(`| ${row} |`)
  })
})

/** The database may come back later than the backend answers. */
async function afterwards(): Promise<Belongings> {
  return untilSeen('all parts', () => belongingsOf(stack).catch(() => undefined), 60_000)
}

async function imageOf(service: string): Promise<string> {
  return docker('inspect', '--format', '{{.Image}}', await stack.container(service))
}

async function containersOf(): Promise<string[]> {
  return (await stack.compose('ps', '-q')).split('\n').filter((id) => id !== '')
}
