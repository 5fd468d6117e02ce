import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLabKey } from '../../src/consoles/ssh/lab-key.js'
import { CLOSE } from '../../src/domain/console.js'
import { layoutOf } from '../../src/domain/layout.js'
import { createFakeEngine } from '../../src/hosts/fake-engine.js'
import { connectConsole, type ConsoleClient } from '../console/console-client.js'
import { type GuestSsh, newHostKey, startGuestSsh } from '../console/ssh-server.js'
import { addTestImage, startTestLab, type Person, type TestLab } from '../support/lab.js'
import { until, untilSeen } from '../support/until.js'

let lab: TestLab
let guest: GuestSsh
let student: Person
let other: Person
let teacher: Person
let admin: Person
let asked: { id: string; port: number }[]
const clients: ConsoleClient[] = []
let count = 0

beforeAll(async () => {
  guest = await startGuestSsh('')
  const dataDir = await mkdtemp(join(tmpdir(), 'sandlabx-test-'))
  const engine = createFakeEngine({
    layout: layoutOf(dataDir),
    guestPort(id, port) {
      asked.push({ id, port })
      return guest.connect()
    },
  })
  lab = await startTestLab({ dataDir, engine })
  const { layout } = lab.backend.services.config
  await addTestImage(layout, lab.backend.services.lab!.store)
  await addTestImage(layout, lab.backend.services.lab!.store, 'cloud', { cloudInit: true })
  guest.authorizedKey = (await openLabKey(layout)).publicKey
  student = await lab.person('student')
  other = await lab.person('student')
  teacher = await lab.person('instructor')
  admin = await lab.person('administrator')
}, 60_000)
afterAll(async () => {
  await lab?.close()
  await guest?.close()
})
afterEach(() => {
  for (const { ws } of clients.splice(0)) ws.terminate()
})

async function newNode(image = 'cloud', start = true): Promise<string> {
  asked = []
  const { body } = await student.send('POST', '/api/nodes', { name: `web-${(count += 1)}`, image })
  if (start) await student.send('POST', `/api/nodes/${body.node.id}/start`)
  return body.node.id
}

const ticketFor = (who: Person, id: string, more: object = {}) =>
  who.send('POST', `/api/nodes/${id}/consoles`, { kind: 'ssh', ...more })

async function open(who: Person, id: string): Promise<ConsoleClient> {
  const ticket = await ticketFor(who, id)
  expect(ticket.status).toBe(201)
  const client = await connectConsole(lab.url.replace('http', 'ws') + ticket.body.url, { token: who.token })
  clients.push(client)
  return client
}

const shows = (client: ConsoleClient, text: string) => until(() => client.bytes.toString().includes(text))

describe('SSH consoles of the whole backend', () => {
  it('lead to the node’s own port 22 and sign in as its user, whatever the page might wish for', async () => {
    const id = await newNode()
    const wished = await ticketFor(student, id, { host: '192.0.2.1', port: 25 })
    expect(wished).toMatchObject({ status: 400 })
    const client = await open(student, id)
    await shows(client, '$ ')
    expect(asked).toEqual([{ id, port: 22 }])
    const { body } = await student.send('GET', `/api/nodes/${id}`)
    expect(guest.users.at(-1)).toBe(body.node.guestUser)
  })

  it('sign in by a key that every seed has beside the node’s own, and no record', async () => {
    const id = await newNode()
    expect(lab.engine.specOf(id as never)?.seed?.sshKeys).toEqual([guest.authorizedKey])
    const record = lab.backend.services.lab!.store.data.nodes.find((node) => node.id === id)
    expect(record?.guest.sshKeys).toEqual([])
  })

  it('are not to be had of a node that takes no key, and the view says why', async () => {
    const id = await newNode('empty')
    const { body } = await student.send('GET', `/api/nodes/${id}`)
    expect(body.node.sshRefusal).toContain('cloud-init')
    expect(await ticketFor(student, id)).toMatchObject({
      status: 422,
      body: { error: { code: 'unsupported', message: expect.stringContaining('cloud-init') } },
    })
    await addTestImage(lab.backend.services.config.layout, lab.backend.services.lab!.store, 'bare', {
      cloudInit: true,
      sshServer: false,
    })
    const bare = await newNode('bare')
    expect(await ticketFor(student, bare)).toMatchObject({
      status: 422,
      body: { error: { message: expect.stringContaining('no SSH server') } },
    })
    const cloud = await newNode()
    expect((await student.send('GET', `/api/nodes/${cloud}`)).body.node.sshRefusal).toBeNull()
  })

  it('are for one person: not to watch, not for another student, and not of a stopped node', async () => {
    const id = await newNode()
    expect(await ticketFor(student, id, { mode: 'view' })).toMatchObject({ status: 422 })
    expect(await ticketFor(other, id)).toMatchObject({ status: 404 })
    expect(await ticketFor(teacher, id)).toMatchObject({ status: 201 })
    const stopped = await newNode('cloud', false)
    expect(await ticketFor(student, stopped)).toMatchObject({
      status: 409,
      body: { error: { code: 'console_not_available' } },
    })
  })

  it('end when their node is stopped, and are in its history and in the audit', async () => {
    const id = await newNode()
    const client = await open(student, id)
    await shows(client, '$ ')
    await student.send('POST', `/api/nodes/${id}/stop`, { now: true })
    expect(await client.closed).toMatchObject({ code: CLOSE.notRunning })
    await until(() => guest.connections === 0)
    const { body } = await student.send('GET', `/api/nodes/${id}/console-history`)
    expect(body.visits).toMatchObject([{ kind: 'ssh', login: student.login, ended: 'closed' }])
    const actions = async () => (await auditOf(id)).map(({ action, details }) => `${action} ${details.kind}`)
    await untilSeen('both in the audit', async () => (await actions()).includes('console.close ssh'))
    expect(await actions()).toContain('console.open ssh')
  })

  it('ask before they go on with another host key, and the audit has who trusted it', async () => {
    const id = await newNode()
    const first = await open(student, id)
    await shows(first, '$ ')
    first.ws.terminate()
    guest.hostKey = newHostKey()
    const again = await open(student, id)
    await shows(again, '[y/N] ')
    again.type('y')
    await shows(again, '$ ')
    await untilSeen('it in the audit', async () =>
      (await auditOf(id)).some(({ action, actorLogin }) => {
        return action === 'console.trustHostKey' && actorLogin === student.login
      }),
    )
  })

  it('end when the backend does', async () => {
    const client = await open(student, await newNode())
    await shows(client, '$ ')
    await lab.backend.close()
    expect((await client.closed).code).not.toBe(1006)
    await until(() => guest.connections === 0)
  })
})

describe('where nothing leads into the guests’ networks', () => {
  it('there is no SSH console, and the answer says so', async () => {
    const without = await startTestLab()
    try {
      await addTestImage(without.backend.services.config.layout, without.backend.services.lab!.store, 'cloud', {
        cloudInit: true,
      })
      const person = await without.person('student')
      const { body } = await person.send('POST', '/api/nodes', { name: 'web', image: 'cloud' })
      await person.send('POST', `/api/nodes/${body.node.id}/start`)
      expect(await ticketFor(person, body.node.id)).toMatchObject({ status: 422 })
    } finally {
      await without.close()
    }
  })
})

async function auditOf(id: string): Promise<{ action: string; actorLogin: string; details: { kind?: string } }[]> {
  const { body } = await admin.send('GET', `/api/audit?object=${id}`)
  return body.entries
}
