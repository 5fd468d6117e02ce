import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { connectConsole, type ConsoleClient } from '../console/console-client.js'
import { addTestImage, startTestLab, type Person, type TestLab } from '../support/lab.js'
import { RFB_VERSION } from '../console/vnc-server.js'
import { until, untilSeen } from '../support/until.js'

let lab: TestLab
let student: Person
let teacher: Person
let admin: Person
const clients: ConsoleClient[] = []

beforeAll(async () => {
  lab = await startTestLab()
  await addTestImage(lab.backend.services.config.layout, lab.backend.services.lab!.store)
  student = await lab.person('student', 'sam')
  teacher = await lab.person('instructor', 'ina')
  admin = await lab.person('administrator')
}, 60_000)
afterAll(() => lab?.close())
afterEach(() => {
  for (const { ws } of clients.splice(0)) ws.terminate()
})

async function runningNode(name: string): Promise<string> {
  const { body } = await student.send('POST', '/api/nodes', { name, image: 'empty' })
  await student.send('POST', `/api/nodes/${body.node.id}/start`)
  return body.node.id
}

async function open(who: Person, nodeId: string, kind: string): Promise<ConsoleClient> {
  const ticket = await who.send('POST', `/api/nodes/${nodeId}/consoles`, { kind, mode: 'control' })
  expect(ticket.status).toBe(201)
  const [url, acknowledging] = [lab.url.replace('http', 'ws') + ticket.body.url, kind === 'serial']
  const client = await connectConsole(url, { token: who.token, acknowledging })
  clients.push(client)
  if (kind === 'screen') await greet(client)
  await until(() => client.viewers.length > 0)
  return client
}

/** A viewer is told who is there once it has spoken VNC. */
async function greet(client: ConsoleClient): Promise<void> {
  await until(() => client.byteCount === RFB_VERSION.length)
  for (const words of [RFB_VERSION, Buffer.from([1]), Buffer.from([0])]) client.type(words)
}

interface Row {
  at: string
  action: string
  actorLogin: string
  objectId: string
  objectName: string
  address: string
  details: object
}

/** What the audit keeps of this node's consoles, oldest first, once there is so much. */
async function controlOf(nodeId: string, count: number): Promise<Row[]> {
  return untilSeen(`${count} changes of control in the audit`, async () => {
    const { body } = await admin.send('GET', '/api/audit?limit=200')
    const rows = (body.entries as Row[]).filter(
      ({ action, objectId }) => objectId === nodeId && /^console\.\w+Control$/.test(action),
    )
    return rows.length >= count && rows.toReversed()
  })
}

describe.each(['serial', 'screen'])('control of a console (%s)', (kind) => {
  it('is kept in the audit: who took it and who handed it back, from where, and not what changed nothing', async () => {
    const nodeId = await runningNode(`web-${kind}`)
    const mine = await open(student, nodeId, kind)
    await until(() => mine.isWriter)
    const theirs = await open(teacher, nodeId, kind)
    mine.tell({ type: 'take-control' }) // has it already
    theirs.tell({ type: 'release-control' }) // has none
    theirs.tell({ type: 'take-control' })
    await until(() => theirs.isWriter && !mine.isWriter)
    theirs.tell({ type: 'release-control' })
    await until(() => mine.isWriter && !theirs.isWriter)
    mine.tell({ type: 'release-control' })
    await until(() => !mine.isWriter)
    const about = { objectName: `web-${kind}`, address: expect.stringMatching(/127\.0\.0\.1/), details: { kind } }
    expect(await controlOf(nodeId, 3)).toMatchObject([
      { action: 'console.takeControl', actorLogin: 'ina', ...about },
      { action: 'console.releaseControl', actorLogin: 'ina', ...about },
      { action: 'console.releaseControl', actorLogin: 'sam', ...about },
    ])
  })
})
