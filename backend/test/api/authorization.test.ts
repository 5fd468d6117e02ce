import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { io } from 'socket.io-client'
import { WebSocket } from 'ws'
import { allRoutes } from '../../src/api/routes.js'
import { addTestImage, startTestLab, type Client, type Person, type TestLab } from '../support/lab.js'
import { until } from '../support/until.js'

/** `yes`: let in (whatever then happens); `no`: 403; `none`: 404 as if absent; `who`: 401. */
type Verdict = 'yes' | 'no' | 'none' | 'who'
const SUBJECTS = ['anonymous', 'owner', 'otherStudent', 'instructor', 'administrator', 'disabled'] as const
type SubjectName = (typeof SUBJECTS)[number]
type Row = Record<SubjectName, Verdict>

const row = (
  anonymous: Verdict,
  owner: Verdict,
  otherStudent: Verdict,
  instructor: Verdict,
  administrator: Verdict,
  disabled: Verdict,
): Row => ({
  anonymous,
  owner,
  otherStudent,
  instructor,
  administrator,
  disabled,
})
//                       anonymous owner  other   instr  admin  disabled
const everybody = () => row('yes', 'yes', 'yes', 'yes', 'yes', 'yes')
const signedIn = () => row('who', 'yes', 'yes', 'yes', 'yes', 'who')
const ownNode = () => row('who', 'yes', 'none', 'yes', 'yes', 'who')
/** They take room: a student sees them, and instructors change them. */
const drivesOf = () => row('who', 'no', 'none', 'yes', 'yes', 'who')
const teachers = () => row('who', 'no', 'no', 'yes', 'yes', 'who')
const administrators = () => row('who', 'no', 'no', 'no', 'yes', 'who')
const adminOnlyInternet = ownNode

/** One line for each route. A route without a line fails, and so does a line without a route. */
const TABLE: Record<string, { expected: Row; body?: unknown; query?: string }> = {
  'post /api/session': { expected: everybody(), body: { login: 'nobody', password: 'wrong wrong' } },
  'get /api/session': { expected: signedIn() },
  'delete /api/session': { expected: row('who', 'no', 'no', 'no', 'no', 'who') }, // tokens can't sign out
  'put /api/session/password': {
    expected: row('who', 'no', 'no', 'no', 'no', 'who'), // nor change passwords
    body: { currentPassword: 'x', newPassword: 'a new long password' },
  },
  'get /api/session/tokens': { expected: signedIn() },
  'post /api/session/tokens': { expected: signedIn(), body: { name: 'matrix' } },
  'delete /api/session/tokens/{id}': { expected: row('who', 'none', 'none', 'none', 'none', 'who') },
  'get /api/users': { expected: teachers() },
  'post /api/users': { expected: administrators(), body: { login: 'NAME' } },
  'patch /api/users/{id}': { expected: administrators(), body: { displayName: 'New' } },
  'post /api/users/{id}/reset-password': { expected: administrators() },
  'get /api/nodes': { expected: signedIn() },
  'post /api/nodes': { expected: signedIn(), body: { name: 'NAME', image: 'empty' } },
  'post /api/nodes/batch': {
    expected: signedIn(),
    body: { template: { image: 'empty' }, nodes: [{ name: 'NAME' }] },
  },
  'get /api/nodes/{id}': { expected: ownNode() },
  'patch /api/nodes/{id}': { expected: adminOnlyInternet(), body: { cpus: 1 } },
  'delete /api/nodes/{id}': { expected: ownNode() },
  'post /api/nodes/{id}/clone': { expected: ownNode(), body: { name: 'clone-NAME' } },
  'get /api/nodes/{id}/layers': { expected: ownNode() },
  'get /api/nodes/{id}/snapshots': { expected: ownNode() },
  'post /api/nodes/{id}/snapshots': { expected: ownNode(), body: { name: 'NAME' } },
  'patch /api/nodes/{id}/snapshots/{snapshotId}': { expected: ownNode(), body: { note: 'NAME' } },
  'post /api/nodes/{id}/snapshots/{snapshotId}/restore': { expected: ownNode() },
  'delete /api/nodes/{id}/snapshots/{snapshotId}': { expected: ownNode() },
  'get /api/nodes/{id}/snapshots/{snapshotId}/export': { expected: ownNode() },
  'put /api/nodes/{id}/snapshot-schedule': { expected: ownNode(), body: { schedule: { daily: 1 } } },
  'get /api/nodes/{id}/drives': { expected: ownNode() },
  'post /api/nodes/{id}/drives': { expected: drivesOf(), body: { id: 'NAME' } },
  'patch /api/nodes/{id}/drives/{driveId}': { expected: drivesOf(), body: { cache: 'none' } },
  'delete /api/nodes/{id}/drives/{driveId}': { expected: drivesOf() },
  'post /api/nodes/{id}/drives/{driveId}/move': {
    expected: row('who', 'no', 'none', 'none', 'none', 'who'), // there is no such node to move it to
    body: { toNodeId: '00000000-0000-4000-8000-000000000000' },
  },
  'post /api/nodes/{id}/start': { expected: ownNode() },
  'post /api/nodes/{id}/suspend': { expected: ownNode() },
  'post /api/nodes/{id}/resume': { expected: ownNode() },
  'post /api/nodes/{id}/discard-memory': { expected: ownNode() },
  'post /api/nodes/{id}/stop': { expected: ownNode(), body: { now: true } },
  'post /api/nodes/{id}/restart': { expected: ownNode() },
  'get /api/nodes/{id}/events': { expected: ownNode() },
  'post /api/nodes/{id}/consoles': { expected: ownNode(), body: { kind: 'serial' } },
  'get /api/nodes/{id}/console-history': { expected: ownNode() },
  'get /api/nodes/{id}/recordings': { expected: ownNode() },
  'get /api/recordings': { expected: teachers() },
  'get /api/recordings/{id}': { expected: drivesOf() },
  'get /api/recordings/{id}/data': { expected: drivesOf() }, // its owner may know of it, and not replay it
  'delete /api/recordings/{id}': { expected: drivesOf() },
  'get /api/nodes/{id}/viewers': { expected: ownNode() },
  'post /api/nodes/{id}/keys': { expected: ownNode(), body: { keys: ['a'] } },
  'post /api/nodes/{id}/type': { expected: ownNode(), body: { text: 'a' } },
  'get /api/nodes/{id}/serial-log': { expected: ownNode() },
  'get /api/nodes/{id}/screenshot': { expected: ownNode() },
  'get /api/nodes/{id}/last-screen': { expected: ownNode() },
  'get /api/storage/orphans': { expected: teachers() },
  'post /api/storage/attach': {
    expected: row('who', 'no', 'no', 'no', 'yes', 'who'), // an instructor: only what was a student's
    body: { path: '/overlays/nothing.qcow2' },
  },
  'post /api/storage/discard': { expected: administrators(), body: { path: '/overlays/nothing.qcow2' } },
  'get /api/nodes/{id}/config': { expected: ownNode() },
  'post /api/nodes/from-config': { expected: signedIn(), body: { config: 'name: NAME\nimage: empty\n' } },
  'post /api/nodes/{id}/reset': { expected: ownNode() },
  'post /api/reset': { expected: signedIn(), body: { nodeIds: ['00000000-0000-4000-8000-000000000000'] } },
  'get /api/trash': { expected: signedIn() },
  'post /api/trash/{id}/restore': { expected: ownNode() },
  'delete /api/trash/{id}': { expected: ownNode() },
  'post /api/trash/purge': { expected: signedIn(), body: { olderThanDays: 3650 } },
  'get /api/settings': { expected: signedIn() },
  'patch /api/settings': { expected: administrators(), body: { verifyHour: 3 } },
  'get /api/images': { expected: signedIn() },
  'post /api/images/build': { expected: teachers(), body: { recipe: 'no-such-recipe' } },
  'post /api/images/pull': { expected: teachers(), body: { id: 'no-such-image' } },
  'post /api/images/import': { expected: administrators(), body: { id: 'x', path: '/nowhere/x.qcow2' } },
  'post /api/images/import-upload': { expected: teachers(), body: { id: 'x', uploadId: 'nothing' } },
  'delete /api/images/{id}': { expected: teachers() },
  'post /api/transfers': {
    expected: teachers(),
    body: {
      kind: 'image',
      key: 'NAME',
      image: {
        id: 'NAME',
        title: '',
        description: '',
        version: '',
        firmware: 'bios',
        cloudInit: false,
        loginNotes: '',
        minimumMemoryMib: 64,
        commandLine: null,
      },
      disk: { sha256: '0'.repeat(64), sizeBytes: 1 },
      kernel: null,
      initrd: null,
    },
  },
  'post /api/transfers/{id}/commit': { expected: row('who', 'no', 'no', 'none', 'none', 'who') },
  'delete /api/transfers/{id}': { expected: row('who', 'no', 'no', 'none', 'none', 'who') },
  'get /api/operations': { expected: signedIn() },
  'get /api/operations/{id}': { expected: ownNode() },
  'post /api/operations/{id}/cancel': { expected: ownNode() },
  'post /api/operations/{id}/undo': { expected: ownNode() },
  'get /api/operations/{id}/passwords': { expected: row('who', 'yes', 'none', 'no', 'no', 'who') }, // the actor alone
  'post /api/storage/verify': { expected: teachers(), body: { level: 'files' } },
  'get /api/storage/reports/{id}': { expected: row('who', 'none', 'none', 'none', 'none', 'who') },
  'get /api/storage/report': { expected: teachers() },
  'post /api/test-boots': { expected: administrators(), body: { path: '/overlays/none.qcow2' } },
  'get /api/test-boots': { expected: signedIn() },
  'get /api/test-boots/{id}': { expected: row('who', 'none', 'none', 'none', 'none', 'who') },
  'get /api/test-boots/{id}/screenshot': { expected: row('who', 'none', 'none', 'none', 'none', 'who') },
  'get /api/storage/space': { expected: teachers() },
  'post /api/storage/repair': {
    expected: administrators(),
    body: { repair: 'write-sidecar', path: '/images/none.image.json' },
  },
  'get /api/health': { expected: everybody() },
  'get /api/health/live': { expected: everybody() },
  'get /api/health/ready': { expected: everybody() },
  'post /api/system/rebuild': { expected: administrators() },
  'get /api/audit': { expected: administrators() },
  'get /api/openapi.json': { expected: everybody() },
  'get /metrics': { expected: administrators() },
}

let lab: TestLab
const people = {} as Record<SubjectName, Client> & { owner: Person }
let serial = 0

beforeAll(async () => {
  lab = await startTestLab({ environment: { SANDLABX_STUDENT_NODES: '1000' } })
  await addTestImage(lab.backend.services.config.layout, lab.backend.services.lab!.store)
  people.anonymous = lab.anonymous
  people.owner = await lab.person('student')
  people.otherStudent = await lab.person('student')
  people.instructor = await lab.person('instructor')
  people.administrator = await lab.person('administrator')
  const gone = await lab.person('student')
  people.disabled = gone
  const { services } = lab.backend
  services.directory.set(await services.accounts.update(gone.id as never, { disabled: true }))
}, 60_000)
afterAll(() => lab?.close())

const key = (route: { method: string; path: string }) => `${route.method} ${route.path}`

/** A fresh object of the owner's for each call, so that one cell can't change another. */
async function freshId(path: string): Promise<string> {
  serial += 1
  const { lab: parts, accounts } = lab.backend.services
  if (path.startsWith('/api/nodes/')) {
    const made = await people.owner.send('POST', '/api/nodes', { name: `cell-${serial}`, image: 'empty' })
    if (made.status !== 201) throw new Error(JSON.stringify(made.body))
    return made.body.node.id
  }
  if (path.startsWith('/api/trash/')) {
    const made = await people.owner.send('POST', '/api/nodes', { name: `cell-${serial}`, image: 'empty' })
    await people.owner.send('DELETE', `/api/nodes/${made.body.node.id}?deleteStorage=true`)
    const { entries } = (await people.owner.send('GET', '/api/trash')).body
    return entries[0].id
  }
  if (path.startsWith('/api/users/'))
    return (await accounts.create({ login: `cell-${serial}`, displayName: '', role: 'student' })).user.id
  if (path.startsWith('/api/operations/')) {
    const about = { kind: 'image.build', title: 'cell', actor: people.owner, target: null, cancellable: true } as const
    const started = parts!.operations.start(
      about,
      (op) => new Promise((_resolve, reject) => op.signal.addEventListener('abort', () => reject(op.signal.reason))),
    )
    return started.operation.id
  }
  if (path.startsWith('/api/recordings/')) {
    const nodeId = await freshId('/api/nodes/')
    parts!.recordings.beginText(nodeId as never, 'serial', () => undefined).end()
    await until(() => parts!.recordings.list(nodeId)[0]?.endedAt !== null)
    return parts!.recordings.list(nodeId)[0]!.id
  }
  if (path.startsWith('/api/images/')) return `image-${serial}`
  return '00000000-0000-4000-8000-000000000000'
}

/** Of the owner's node; nothing where the path names none. */
async function freshSnapshot(path: string, id: string): Promise<string> {
  if (!path.includes('{snapshotId}')) return ''
  const { operations, store } = lab.backend.services.lab!
  const { body } = await people.owner.send('POST', `/api/nodes/${id}/snapshots`, { name: 'cell' })
  await operations.ended(body.operation.id)
  return store.data.snapshots.find(({ nodeId }) => nodeId === id)!.id
}

function verdictOf(status: number, path: string): Verdict {
  if (status === 401) return 'who'
  if (status === 403) return 'no'
  if (status === 404 && /\{id\}/.test(path)) return 'none'
  return 'yes'
}

describe('who may do what', () => {
  it('has a line for every route, and a route for every line', () => {
    expect(Object.keys(TABLE).toSorted()).toEqual(allRoutes().map(key).toSorted())
  })

  it.each(Object.entries(TABLE))(
    '%s lets in exactly those that it should',
    async (name, line) => {
      const [method = '', path = ''] = name.split(' ')
      for (const subject of SUBJECTS) {
        const id = await freshId(path)
        const snapshotId = await freshSnapshot(path, id)
        if (/delete.*images/.test(name)) {
          await addTestImage(lab.backend.services.config.layout, lab.backend.services.lab!.store, id)
        }
        if (/\{driveId\}/.test(path)) await people.instructor.send('POST', `/api/nodes/${id}/drives`, { id: 'cell' })
        if (/last-screen/.test(path)) {
          await people.owner.send('POST', `/api/nodes/${id}/start`)
          await people.owner.send('GET', `/api/nodes/${id}/screenshot`)
        }
        const body =
          line.body === undefined ? undefined : JSON.parse(JSON.stringify(line.body).replaceAll('NAME', `n-${serial}`))
        const answer = await people[subject].send(
          method.toUpperCase(),
          path.replace('{id}', id).replace('{snapshotId}', snapshotId).replace('{driveId}', 'cell') +
            (line.query ?? ''),
          body,
        )
        // A wrong password is the one 401 that means "come in and try": the door was open.
        const verdict = name === 'post /api/session' ? 'yes' : verdictOf(answer.status, path)
        expect(`${subject}: ${verdict}`).toBe(`${subject}: ${line.expected[subject]}`)
        expect(answer.status).not.toBe(500)
      }
    },
    60_000,
  )

  it('answers a foreign id exactly like an absent one', async () => {
    const id = await freshId('/api/nodes/')
    const foreign = await people.otherStudent.send('GET', `/api/nodes/${id}`)
    const absent = await people.otherStudent.send('GET', '/api/nodes/00000000-0000-4000-8000-00000000abcd')
    const plain = (body: { error: { message: string; requestId: string } }) => ({
      ...body.error,
      requestId: '',
      message: body.error.message.replace(/[0-9a-f-]{36}/, 'ID'),
    })
    expect(foreign.status).toBe(404)
    expect(plain(foreign.body)).toEqual(plain(absent.body))
  })

  it('lists to each only what they may see', async () => {
    await freshId('/api/nodes/')
    const counts = await Promise.all(
      (['owner', 'otherStudent', 'instructor', 'administrator'] as const).map(async (subject) => {
        const { body } = await people[subject].send('GET', '/api/nodes')
        return body.nodes.filter((node: { ownerId: string }) => node.ownerId === people.owner.id).length > 0
      }),
    )
    expect(counts).toEqual([true, false, true, true])
  })

  it('does not let an instructor touch the nodes of administrators', async () => {
    const made = await people.administrator.send('POST', '/api/nodes', { name: 'boss', image: 'empty' })
    const answer = await people.instructor.send('POST', `/api/nodes/${made.body.node.id}/start`)
    expect(answer.status).toBe(404)
  })

  it('lets only instructors and administrators allow a node the internet', async () => {
    const id = await freshId('/api/nodes/')
    expect((await people.owner.send('PATCH', `/api/nodes/${id}`, { internet: true })).status).toBe(403)
    expect(
      (await people.owner.send('POST', '/api/nodes', { name: 'out', image: 'empty', internet: true })).status,
    ).toBe(403)
    const allowed = await people.instructor.send('PATCH', `/api/nodes/${id}`, { internet: true })
    expect(allowed.body.node.internet).toBe(true)
  })
})

describe('who may open sockets', () => {
  const liveVerdict = (client: Client | Person) =>
    new Promise<Verdict>((resolve, reject) => {
      const headers = 'token' in client ? { authorization: `Bearer ${client.token}` } : {}
      const socket = io(lab.url, { transports: ['websocket'], reconnection: false, extraHeaders: headers })
      socket.once('connect', () => (socket.close(), resolve('yes')))
      socket.once(
        'connect_error',
        (error) => (socket.close(), error.message === 'not_signed_in' ? resolve('who') : reject(error)),
      )
    })

  it('live updates: whoever is signed in', async () => {
    for (const subject of SUBJECTS) {
      expect(`${subject}: ${await liveVerdict(people[subject])}`).toBe(`${subject}: ${signedIn()[subject]}`)
    }
  })

  it('live updates: a student hears of their own nodes only', async () => {
    const heard = { owner: [] as string[], otherStudent: [] as string[] }
    const sockets = await Promise.all(
      (['owner', 'otherStudent'] as const).map(async (name) => {
        const person = people[name] as Person
        const socket = io(lab.url, {
          transports: ['websocket'],
          extraHeaders: { authorization: `Bearer ${person.token}` },
        })
        socket.on('change', (event: { id: string }) => heard[name].push(event.id))
        const answer = await socket.emitWithAck('subscribe', { topics: ['nodes', 'audit', 'users'] })
        expect(answer).toEqual({ ok: true, topics: ['nodes'] })
        return socket
      }),
    )
    const id = await freshId('/api/nodes/')
    const deadline = Date.now() + 5000
    while (!heard.owner.includes(id) && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10))
    expect(heard.owner).toContain(id)
    expect(heard.otherStudent).not.toContain(id)
    for (const socket of sockets) socket.close()
  })

  it('consoles: a ticket works for the one who asked for it, and for nobody else', async () => {
    for (const subject of SUBJECTS) {
      const id = await freshId('/api/nodes/')
      await people.owner.send('POST', `/api/nodes/${id}/start`)
      const ticket = await people.owner.send('POST', `/api/nodes/${id}/consoles`, { kind: 'serial' })
      const client = people[subject]
      const headers = 'token' in client ? { authorization: `Bearer ${client.token}` } : {}
      const opened = await new Promise<boolean>((resolve) => {
        const socket = new WebSocket(lab.url.replace('http', 'ws') + ticket.body.url, { headers })
        socket.once('open', () => (socket.close(), resolve(true)))
        socket.once('error', () => resolve(false))
      })
      expect(`${subject}: ${opened}`).toBe(`${subject}: ${subject === 'owner'}`)
    }
  })

  it('uploads: instructors and administrators', async () => {
    for (const subject of SUBJECTS) {
      const answer = await people[subject].send('POST', '/api/uploads', undefined, {
        'tus-resumable': '1.0.0',
        'upload-length': '10',
      })
      expect(`${subject}: ${verdictOf(answer.status, '/api/uploads')}`).toBe(`${subject}: ${teachers()[subject]}`)
    }
  })
})
