import { readdir } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { Operation } from '../../src/domain/operation.js'
import { EngineError } from '../../src/hosts/engine.js'
import { addTestImage, startTestLab, type Person, type TestLab } from '../support/lab.js'
import { untilSeen } from '../support/until.js'

let lab: TestLab
let teacher: Person
let student: Person
const parts = () => lab.backend.services.lab!
const layout = () => lab.backend.services.config.layout
const filesOf = async (id: string) => (await readdir(layout().overlays)).filter((file) => file.includes(id))

beforeAll(async () => {
  lab = await startTestLab({ environment: { SANDLABX_STUDENT_NODES: '3' } })
  await addTestImage(layout(), parts().store)
  await addTestImage(layout(), parts().store, 'cloud', { cloudInit: true })
  teacher = await lab.person('instructor')
  student = await lab.person('student')
}, 60_000)
afterAll(() => lab?.close())

let count = 0
const fresh = () => `b${(count += 1)}`
const begin = (body: object, who = teacher, headers = {}) => who.send('POST', '/api/nodes/batch', body, headers)
const namesOf = (who = teacher.id) =>
  parts()
    .store.data.nodes.filter(({ ownerId }) => ownerId === who)
    .map(({ name }) => name)

async function ended(id: string): Promise<Operation> {
  return untilSeen(`operation ${id} to end`, async () => {
    const { body } = await teacher.send('GET', `/api/operations/${id}`)
    return body.operation.state !== 'running' && body.operation
  })
}

async function run(body: object): Promise<Operation> {
  const answer = await begin(body)
  if (answer.status !== 202) throw new Error(JSON.stringify(answer.body))
  return ended(answer.body.operation.id)
}

describe('many nodes with one call', () => {
  it('are named by the pattern and made in one transaction', async () => {
    const name = fresh()
    const operation = await run({ template: { image: 'empty' }, count: 12, name: `${name}-{nn}` })
    expect(operation).toMatchObject({
      kind: 'node.create',
      title: 'Create 12 nodes',
      state: 'succeeded',
      outcome: 'committed',
    })
    expect(operation.resources).toHaveLength(12)
    expect(operation.items.map((item) => item.name)).toEqual(
      Array.from({ length: 12 }, (_, n) => `${name}-${String(n + 1).padStart(2, '0')}`),
    )
    for (const { id, state } of operation.items) {
      expect(state).toBe('succeeded')
      expect((await teacher.send('GET', `/api/nodes/${id}`)).body.node.status).toBe('stopped')
      expect(await filesOf(id ?? '')).toHaveLength(2)
    }
  })

  it('are all refused at once when one can not be', async () => {
    const name = fresh()
    await run({ template: { image: 'empty' }, nodes: [{ name: `${name}-2` }] })
    const before = namesOf()
    const taken = await begin({ template: { image: 'empty' }, count: 3, name: `${name}-{n}` })
    expect(taken.body.error).toMatchObject({ code: 'name_taken', message: expect.stringContaining(`${name}-2`) })
    const twice = await begin({ template: { image: 'empty' }, nodes: [{ name }, { name }] })
    expect(twice.body.error).toMatchObject({ code: 'name_taken', message: expect.stringContaining('twice') })
    const image = await begin({ template: { image: 'nothing' }, count: 2, name: `${name}x-{n}` })
    expect(image.status).toBe(404)
    expect(namesOf()).toEqual(before)
  })

  it('are all taken back when one fails on the way', async () => {
    const name = fresh()
    const files = (await readdir(layout().overlays)).length
    lab.engine.failNext('ensureNode', new EngineError('engine', 'no such luck'))
    const operation = await run({ template: { image: 'empty' }, count: 20, name: `${name}-{n}` })
    expect(operation).toMatchObject({ state: 'failed', outcome: 'rolled-back' })
    expect(operation.items.map(({ state }) => state).toSorted()).toEqual([
      'failed',
      ...Array.from({ length: 19 }, () => 'undone'),
    ])
    expect(namesOf().filter((one) => one.startsWith(name))).toEqual([])
    expect((await readdir(layout().overlays)).length).toBe(files)
    expect((await run({ template: { image: 'empty' }, count: 20, name: `${name}-{n}` })).state).toBe('succeeded')
  })

  it('can be cancelled, and then none is there', async () => {
    const name = fresh()
    const release = lab.engine.hold('ensureNode')
    const { body } = await begin({ template: { image: 'empty' }, count: 30, name: `${name}-{n}` })
    expect((await teacher.send('POST', `/api/operations/${body.operation.id}/cancel`)).status).toBe(200)
    release()
    const operation = await ended(body.operation.id)
    expect(operation).toMatchObject({ state: 'cancelled', outcome: 'rolled-back' })
    expect(operation.items.every(({ state }) => state === 'undone')).toBe(true)
    expect(namesOf().filter((one) => one.startsWith(name))).toEqual([])
  })

  it('are started when all are made, and a start that fails is told with its node', async () => {
    const name = fresh()
    lab.engine.failNext('start', new EngineError('engine', 'QEMU said no'))
    const operation = await run({ template: { image: 'empty', start: true }, count: 5, name: `${name}-{n}` })
    expect(operation).toMatchObject({ state: 'succeeded', outcome: 'committed' })
    const failed = operation.items.filter(({ state }) => state === 'failed')
    expect(failed).toHaveLength(1)
    expect(failed[0]?.error?.message).toContain('QEMU said no')
    const statuses = await Promise.all(
      operation.items.map(async ({ id }) => (await teacher.send('GET', `/api/nodes/${id}`)).body.node.status),
    )
    expect(statuses.filter((status: string) => status === 'running')).toHaveLength(4)
    expect(statuses).toContain('stopped')
    for (const { id } of operation.items) await teacher.send('POST', `/api/nodes/${id}/stop`, { now: true })
  })

  it.each([
    [{ template: { image: 'empty' } }, 'bad_request'],
    [{ template: { image: 'empty' }, count: 2 }, 'bad_request'],
    [{ template: { image: 'empty' }, count: 2, name: 'same' }, 'bad_request'],
    [{ template: { image: 'empty' }, count: 501, name: 'w-{n}' }, 'bad_request'],
    [{ template: { image: 'empty' }, count: 1, name: 'w-{n}', nodes: [{ name: 'w' }] }, 'bad_request'],
    [{ template: { image: 'empty', name: 'w' }, count: 1, name: 'w' }, 'unknown_field'],
  ])('refuses %j', async (body, code) => {
    expect((await begin(body)).body.error.code).toBe(code)
  })
})

describe('a node for each person', () => {
  it('may have the same name, and the account of its guest is named after them', async () => {
    const people = await Promise.all([lab.person('student'), lab.person('student'), lab.person('student')])
    const nodes = people.map(({ id }) => ({ name: 'web', ownerId: id }))
    const operation = await run({ template: { image: 'empty' }, nodes })
    expect(operation.state).toBe('succeeded')
    for (const person of people) {
      const mine = (await person.send('GET', '/api/nodes')).body.nodes
      expect(mine).toMatchObject([{ name: 'web', ownerLogin: person.login, guestUser: person.login }])
    }
  })

  it('is refused to a student, and an instructor may not make one for an administrator', async () => {
    const boss = await lab.person('administrator')
    const nodes = [{ name: 'gift', ownerId: boss.id }]
    expect((await begin({ template: { image: 'empty' }, nodes })).status).toBe(403)
    expect((await begin({ template: { image: 'empty' }, nodes }, student)).status).toBe(403)
    const internet = { template: { image: 'empty', internet: true }, count: 1, name: 'out' }
    expect((await begin(internet, student)).status).toBe(403)
    expect(namesOf(boss.id)).toEqual([])
  })

  it('counts against what they may have, also when two batches race', async () => {
    const body = (name: string) => ({ template: { image: 'empty' }, count: 2, name: `${name}-{n}` })
    const refused = await begin({ template: { image: 'empty' }, count: 4, name: 'q-{n}' }, student)
    expect(refused.body.error.code).toBe('quota_reached')
    const both = await Promise.all([begin(body('r'), student), begin(body('s'), student)])
    const states = await Promise.all(
      both.map(async ({ status, body: told }) => (status === 202 ? (await ended(told.operation.id)).state : 'failed')),
    )
    expect(states.toSorted()).toEqual(['failed', 'succeeded'])
    expect(namesOf(student.id)).toHaveLength(2)
  })
})

describe('a batch that keeps going', () => {
  it('makes those that can be made and says why the others were not', async () => {
    const name = fresh()
    await run({ template: { image: 'empty' }, nodes: [{ name: `${name}-3` }] })
    const operation = await run({ template: { image: 'empty' }, count: 5, name: `${name}-{n}`, keepGoing: true })
    expect(operation.state).toBe('failed')
    expect(operation.error).toMatchObject({ code: 'name_taken', message: expect.stringContaining('4 of 5 nodes') })
    expect(operation.items.map(({ state }) => state)).toEqual([
      'succeeded',
      'succeeded',
      'failed',
      'succeeded',
      'succeeded',
    ])
    expect(operation.items[2]?.error?.code).toBe('name_taken')
    expect(namesOf().filter((one) => one.startsWith(`${name}-`))).toHaveLength(5)
  })

  it('starts each as soon as it is made', async () => {
    const name = fresh()
    const template = { image: 'empty', start: true }
    const operation = await run({ template, count: 3, name: `${name}-{n}`, keepGoing: true })
    expect(operation).toMatchObject({ state: 'succeeded', progress: 1 })
    for (const { id } of operation.items) {
      expect((await teacher.send('GET', `/api/nodes/${id}`)).body.node.status).toBe('running')
      await teacher.send('POST', `/api/nodes/${id}/stop`, { now: true })
    }
  })

  it('when cancelled begins no other, and what was made stays', async () => {
    const name = fresh()
    const release = lab.engine.hold('ensureNode')
    const { body } = await begin({ template: { image: 'empty' }, count: 30, name: `${name}-{n}`, keepGoing: true })
    await untilSeen('the first disks', async () => {
      const { items } = (await teacher.send('GET', `/api/operations/${body.operation.id}`)).body.operation
      return items.some(({ state }: { state: string }) => state === 'running')
    })
    await teacher.send('POST', `/api/operations/${body.operation.id}/cancel`)
    release()
    const { state, items } = await ended(body.operation.id)
    expect(state).toBe('cancelled')
    const made = items.filter((item) => item.state === 'succeeded')
    expect(made.length).toBeLessThan(30)
    expect(namesOf().filter((one) => one.startsWith(`${name}-`))).toHaveLength(made.length)
    expect(items.filter((item) => item.state === 'undone')).toHaveLength(30 - made.length)
  })
})

describe('what it would do', () => {
  const dry = (body: object) => teacher.send('POST', '/api/nodes/batch?dryRun=true', body)

  it('is told without doing it', async () => {
    const name = fresh()
    const before = parts().operations.list().length
    const { status, body } = await dry({ template: { image: 'empty', start: true }, count: 30, name: `${name}-{n}` })
    expect(status).toBe(200)
    expect(body.plan).toMatchObject({ kind: 'node.create', title: 'Create 30 nodes', refusal: null, warnings: [] })
    expect(body.plan.creates).toHaveLength(30)
    expect(body.plan.steps.at(-1)).toContain('Start')
    expect(body.plan.space[0].requiredBytes).toBeGreaterThan(0)
    expect(namesOf().filter((one) => one.startsWith(`${name}-`))).toEqual([])
    expect(parts().operations.list()).toHaveLength(before)
  })

  it('names what stands in the way; a batch that keeps going would go around it', async () => {
    const name = fresh()
    await run({ template: { image: 'empty' }, nodes: [{ name: `${name}-2` }] })
    const batch = { template: { image: 'empty' }, count: 3, name: `${name}-{n}` }
    expect((await dry(batch)).body.plan.refusal).toMatchObject({ code: 'name_taken' })
    const { plan } = (await dry({ ...batch, keepGoing: true })).body
    expect(plan).toMatchObject({ refusal: null, warnings: [expect.stringContaining(`${name}-2 would not be made`)] })
    const hopeless = { template: { image: 'nothing' }, count: 3, name: `${name}-{n}`, keepGoing: true }
    expect((await dry(hopeless)).body.plan.refusal).toMatchObject({ code: 'not_found' })
  })
})

describe('generated passwords of guests', () => {
  const passwordsOf = (id: string, who: Person = teacher) => who.send('GET', `/api/operations/${id}/passwords`)

  it.each([false, true])(
    'are told to the one who asked for the nodes, and to nobody else (keepGoing %s)',
    async (keepGoing) => {
      const owner = await lab.person('student')
      const boss = await lab.person('administrator')
      const nodes = [
        { name: 'one', ownerId: owner.id },
        { name: 'two', ownerId: owner.id, guestPassword: 'chosen' },
      ]
      const { id, items } = await run({ template: { image: 'cloud' }, nodes, keepGoing })
      expect((await passwordsOf(id, boss)).status).toBe(403)
      expect((await passwordsOf(id, owner)).status).toBe(404)
      const { body } = await passwordsOf(id)
      expect(body.passwords).toEqual([
        {
          name: 'one',
          id: items[0]?.id,
          login: owner.login,
          guestUser: owner.login,
          guestPassword: expect.stringMatching(/^[a-z]{4}-\d{4}-[a-z]{4}$/),
        },
      ])
      const kept = JSON.stringify([parts().store.data, await teacher.send('GET', `/api/operations/${id}`)])
      expect(kept).not.toContain(body.passwords[0].guestPassword)
    },
  )

  it('are not told while it runs, and there are none of what failed', async () => {
    const release = lab.engine.hold('ensureNode')
    const { body } = await begin({ template: { image: 'cloud' }, count: 2, name: `${fresh()}-{n}` })
    expect((await passwordsOf(body.operation.id)).body.error.code).toBe('wrong_status')
    await teacher.send('POST', `/api/operations/${body.operation.id}/cancel`)
    release()
    await ended(body.operation.id)
    expect((await passwordsOf(body.operation.id)).body.passwords).toEqual([])
  })
})
