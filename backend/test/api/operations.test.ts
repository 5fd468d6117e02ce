import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { OperationKind } from '../../src/domain/operation.js'
import { startTestLab, type Person, type TestLab } from '../support/lab.js'
import { untilSeen } from '../support/until.js'

let lab: TestLab
let teacher: Person
const operations = () => lab.backend.services.lab!.operations
const list = async (query = '', who = teacher) => {
  const { body } = await who.send('GET', `/api/operations${query}`)
  return body.operations.map(({ title }: { title: string }) => title)
}

/** Begins one; it goes on until cancelled, unless `end` says how it ends at once. */
async function begin(title: string, kind: OperationKind, end?: 'well' | 'badly', who = teacher): Promise<string> {
  const about = { kind, title, actor: { id: who.id, login: who.login }, target: null, cancellable: true }
  const { operation, result } = operations().start(about, async ({ signal }) => {
    if (end === 'badly') throw new Error('no such luck')
    if (end === undefined) {
      await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    }
  })
  result.catch(() => undefined)
  if (end !== undefined) {
    await untilSeen(`the end of ${title}`, async () => operations().get(operation.id)?.state !== 'running')
  }
  return operation.id
}

beforeAll(async () => {
  lab = await startTestLab()
  teacher = await lab.person('instructor')
  await begin('one', 'node.create', 'well')
  await begin('two', 'node.clone', 'badly')
  await begin('three', 'node.clone', 'well')
  await begin('four', 'node.clone')
}, 60_000)
afterAll(() => lab?.close())

describe('the list of operations', () => {
  it('is newest first, and can be narrowed by state, by kind and in length', async () => {
    expect(await list()).toEqual(['four', 'three', 'two', 'one'])
    expect(await list('?state=running')).toEqual(['four'])
    expect(await list('?state=failed')).toEqual(['two'])
    expect(await list('?kind=node.clone')).toEqual(['four', 'three', 'two'])
    expect(await list('?kind=node.clone&state=succeeded')).toEqual(['three'])
    expect(await list('?limit=2')).toEqual(['four', 'three'])
  })

  it('counts the limit after what this person may not see', async () => {
    const student = await lab.person('student')
    await begin('theirs', 'node.create', 'well', student)
    await begin('ours', 'node.create', 'well')
    expect(await list('?limit=1', student)).toEqual(['theirs'])
  })

  it.each(['?state=asleep', '?kind=node.fly', '?limit=0', '?limit=1001', '?limit=x', '?sort=title'])(
    'refuses %s',
    async (query) => {
      expect((await teacher.send('GET', `/api/operations${query}`)).status).toBe(400)
    },
  )

  it('says in the document how long operations are kept', async () => {
    const { body } = await lab.anonymous.send('GET', '/api/openapi.json')
    expect(body.paths['/api/operations'].get.summary).toContain('the newest 1000 that have ended')
  })
})
