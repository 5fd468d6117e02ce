import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises'
import { Duplex } from 'node:stream'
import { recordingDataFile, recordingRecordFile, recordingsDir } from '../../src/domain/layout.js'
import type { Recording } from '../../src/domain/recording.js'
import { createRecordings } from '../../src/consoles/recording/recordings.js'
import { createLog } from '../../src/system/log.js'
import { connectConsole, type ConsoleClient } from '../console/console-client.js'
import { addTestImage, startTestLab, type Person, type TestLab } from '../support/lab.js'
import { until, untilSeen } from '../support/until.js'

let lab: TestLab
let student: Person
let teacher: Person
let admin: Person
const clients: ConsoleClient[] = []
let count = 0

beforeAll(async () => {
  lab = await startTestLab()
  await addTestImage(lab.backend.services.config.layout, lab.backend.services.lab!.store)
  student = await lab.person('student')
  teacher = await lab.person('instructor')
  admin = await lab.person('administrator')
}, 60_000)
afterAll(() => lab?.close())
afterEach(async () => {
  for (const { ws } of clients.splice(0)) ws.terminate()
  await admin.send('PATCH', '/api/settings', { recordConsoles: false })
})

const layout = () => lab.backend.services.config.layout

async function runningNode(): Promise<string> {
  const { body } = await student.send('POST', '/api/nodes', { name: `web-${(count += 1)}`, image: 'empty' })
  await student.send('POST', `/api/nodes/${body.node.id}/start`)
  return body.node.id
}

/** Open, and told whether it is recorded. */
async function open(who: Person, nodeId: string, mode = 'control'): Promise<ConsoleClient> {
  const ticket = await who.send('POST', `/api/nodes/${nodeId}/consoles`, { kind: 'serial', mode })
  expect(ticket.status).toBe(201)
  const client = await connectConsole(lab.url.replace('http', 'ws') + ticket.body.url, { token: who.token })
  clients.push(client)
  await until(() => client.messages.some(({ type }) => type === 'hello'))
  return client
}

const isRecorded = ({ messages }: ConsoleClient) =>
  messages.find((message) => message.type === 'hello')?.recorded === true
const listed = async (who: Person, nodeId: string): Promise<Recording[]> =>
  (await who.send('GET', `/api/nodes/${nodeId}/recordings`)).body.recordings
const print = (nodeId: string, text: string | Buffer) => lab.engine.serialOf(nodeId as never).print(text)

async function ended(nodeId: string): Promise<Recording> {
  return untilSeen('the recording has ended', async () => {
    const [newest] = await listed(teacher, nodeId)
    return newest?.endedAt !== null && newest
  })
}

async function outputOf(id: string): Promise<string> {
  const { status, body } = await teacher.send('GET', `/api/recordings/${id}/data`)
  expect(status).toBe(200)
  const lines = (body as string).trimEnd().split('\n').slice(1)
  return lines
    .map((line) => JSON.parse(line) as [number, string, string])
    .filter(([, code]) => code === 'o')
    .map(([, , text]) => text)
    .join('')
}

describe('recording what a console shows', () => {
  it('is off unless somebody asked for it', async () => {
    const nodeId = await runningNode()
    const client = await open(student, nodeId)
    print(nodeId, 'nobody keeps this')
    await until(() => client.text.includes('keeps this'))
    expect(isRecorded(client)).toBe(false)
    expect(await listed(teacher, nodeId)).toEqual([])
    expect(await readdir(recordingsDir(layout()))).toEqual([])
  })

  it('keeps what the guest says from then on, and says so to everybody; what is typed only as its echo', async () => {
    const nodeId = await runningNode()
    print(nodeId, 'said before\r\n')
    expect((await teacher.send('PATCH', `/api/nodes/${nodeId}`, { recording: true })).status).toBe(200)
    const [own, watching] = [await open(student, nodeId), await open(teacher, nodeId, 'view')]
    expect([isRecorded(own), isRecorded(watching)]).toEqual([true, true])
    own.tell({ type: 'resize', columns: 132, rows: 43 })
    print(nodeId, 'said while € recorded\r\n')
    await until(() => own.text.includes('while'))
    own.ws.close()
    watching.ws.close()
    const recording = await ended(nodeId)
    expect(recording).toMatchObject({ kind: 'serial', cut: null, nodeId, ownerId: student.id })
    expect(recording.people.map(({ login, mode }) => `${login} ${mode}`)).toEqual([
      `${student.login} control`,
      `${teacher.login} view`,
    ])
    const output = await outputOf(recording.id)
    expect(output).toBe('said while € recorded\r\n')
    const file = recordingDataFile(layout(), recording.id, 'cast')
    const [head, ...events] = (await readFile(file, 'utf8')).trimEnd().split('\n')
    expect(JSON.parse(head!)).toMatchObject({ version: 2, width: 80, height: 24 })
    expect(events.some((line) => line.includes('"r","132x43"'))).toBe(true)
    expect((await stat(file)).mode & 0o777).toBe(0o600)
  })

  it('never has what was typed and not shown', async () => {
    const nodeId = await runningNode()
    await teacher.send('PATCH', `/api/nodes/${nodeId}`, { recording: true })
    // A guest that shows nothing of what is typed, as when it asks for a password.
    let typed = ''
    const line = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        typed += chunk.toString()
        done()
      },
    })
    lab.engine.serialOf(nodeId as never).open = () => line
    const client = await open(student, nodeId)
    await until(() => client.isWriter)
    client.type('hunter2-secret\r')
    await until(() => typed.includes('hunter2-secret'))
    line.push('Password: \r\nWelcome\r\n')
    await until(() => client.text.includes('Welcome'))
    client.ws.close()
    const { id } = await ended(nodeId)
    const text = await readFile(recordingDataFile(layout(), id, 'cast'), 'utf8')
    expect(text).toContain('Welcome')
    expect(text).not.toContain('hunter2')
  })

  it('is switched while consoles are open: they come back and are told', async () => {
    const nodeId = await runningNode()
    const before = await open(student, nodeId)
    await admin.send('PATCH', '/api/settings', { recordConsoles: true })
    expect((await before.closed).code).toBe(4412)
    const during = await open(student, nodeId)
    expect(isRecorded(during)).toBe(true)
    // The node's own choice goes before the lab's.
    await teacher.send('PATCH', `/api/nodes/${nodeId}`, { recording: false })
    expect((await during.closed).code).toBe(4412)
    expect(isRecorded(await open(student, nodeId))).toBe(false)
    await ended(nodeId)
  })

  it('is not for students to switch, replay or delete; they see that it is there', async () => {
    const nodeId = await runningNode()
    await teacher.send('PATCH', `/api/nodes/${nodeId}`, { recording: true })
    expect((await student.send('PATCH', `/api/nodes/${nodeId}`, { recording: false })).status).toBe(403)
    const client = await open(student, nodeId)
    print(nodeId, 'x')
    await until(() => client.text.includes('x'))
    const [going] = await listed(student, nodeId)
    expect((await teacher.send('DELETE', `/api/recordings/${going!.id}`)).body.error.code).toBe('busy')
    client.ws.close()
    const { id } = await ended(nodeId)
    expect((await student.send('GET', `/api/recordings/${id}/data`)).status).toBe(403)
    expect((await student.send('DELETE', `/api/recordings/${id}`)).status).toBe(403)
    expect((await student.send('GET', '/api/recordings')).status).toBe(403)
    const other = await lab.person('student')
    expect((await other.send('GET', `/api/recordings/${id}/data`)).status).toBe(404)

    expect((await teacher.send('GET', `/api/recordings?nodeId=${nodeId}`)).body.recordings).toMatchObject([{ id }])
    await teacher.send('GET', `/api/recordings/${id}/data`)
    expect((await teacher.send('DELETE', `/api/recordings/${id}`)).status).toBe(204)
    expect(await listed(teacher, nodeId)).toEqual([])
    const left = await readdir(recordingsDir(layout()))
    expect(left.filter((name) => name.startsWith(id))).toEqual([])
    const { entries } = (await admin.send('GET', `/api/audit?object=${nodeId}`)).body
    const lines = entries.map(({ action, actorLogin, result }: Record<string, string>) => [action, actorLogin, result])
    expect(lines).toContainEqual(['recording.replay', teacher.login, 'success'])
    expect(lines).toContainEqual(['recording.delete', teacher.login, 'success'])
    expect(lines).toContainEqual(['recording.replay', student.login, 'failure'])
  })
})

describe('recordings over time', () => {
  it('are ended at the next start where a backend was killed, without the line that was cut off', async () => {
    const nodeId = await runningNode()
    await teacher.send('PATCH', `/api/nodes/${nodeId}`, { recording: true })
    const client = await open(student, nodeId)
    print(nodeId, 'all of it')
    await until(() => client.text.includes('all of it'))
    client.ws.close()
    const recording = await ended(nodeId)
    const file = recordingDataFile(layout(), recording.id, 'cast')
    const whole = await readFile(file, 'utf8')
    await writeFile(file, `${whole}[12.5,"o","torn`)
    await utimes(file, new Date(), new Date('2026-11-21T09:00:00Z'))
    await writeFile(recordingRecordFile(layout(), recording.id), JSON.stringify({ ...recording, endedAt: null }))
    await writeFile(recordingDataFile(layout(), '00000000-0000-4000-8000-000000000001', 'cast'), 'of no recording')
    const log = createLog('silent')
    const nodeOf = () => undefined
    const again = await createRecordings({
      layout: layout(),
      log,
      nodeOf,
      byDefault: () => false,
      now: () => new Date(),
    })
    expect(again.get(recording.id)).toMatchObject({ sizeBytes: whole.length, endedAt: '2026-11-21T09:00:00.000Z' })
    expect(await readFile(file, 'utf8')).toBe(whole)
    expect(await readdir(recordingsDir(layout()))).not.toContain('00000000-0000-4000-8000-000000000001.cast')

    expect(await again.purge(new Date('2026-11-21T08:59:59Z'))).toBe(0)
    expect(await again.purge(new Date('2026-11-21T09:00:01Z'))).toBeGreaterThan(0)
    await expect(stat(file)).rejects.toMatchObject({ code: 'ENOENT' })
    await again.close()
  })
})

describe('the history of consoles', () => {
  it('tells who was there, from where, of which kind, and that it was recorded', async () => {
    const nodeId = await runningNode()
    await teacher.send('PATCH', `/api/nodes/${nodeId}`, { recording: true })
    const client = await open(student, nodeId)
    const watching = await open(teacher, nodeId, 'view')
    client.ws.close()
    await client.closed
    const path = `/api/nodes/${nodeId}/console-history`
    const visits = await untilSeen('the end of the first', async () => {
      const { body } = await student.send('GET', path)
      return body.visits.length === 2 && body.visits[1].closedAt !== null && body.visits
    })
    const facts = { kind: 'serial', engine: 'direct', recorded: true }
    expect(visits).toMatchObject([
      { ...facts, login: teacher.login, mode: 'view', closedAt: null, ended: null, address: null },
      {
        ...facts,
        login: student.login,
        mode: 'control',
        ended: 'closed',
        address: expect.stringContaining('127.0.0.1'),
      },
    ])
    const { body: asSeen } = await teacher.send('GET', path)
    expect(asSeen.visits[0].address).toContain('127.0.0.1')
    watching.ws.close()
    await untilSeen('both ends in the audit', async () => {
      const { entries } = (await admin.send('GET', `/api/audit?object=${nodeId}&action=console.close`)).body
      return entries.length === 2 && entries[0].details.kind === 'serial'
    })
  })
})
