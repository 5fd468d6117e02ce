import { readdir } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { addTestImage, startTestLab, type Person, type TestLab } from '../support/lab.js'

let lab: TestLab
let student: Person
let administrator: Person

beforeAll(async () => {
  lab = await startTestLab()
  await addTestImage(lab.backend.services.config.layout, lab.backend.services.lab!.store)
  student = await lab.person('student')
  administrator = await lab.person('administrator')
}, 60_000)
afterAll(() => lab?.close())

const revision = () => lab.backend.services.lab!.store.revision
const create = (body: unknown) => student.send('POST', '/api/nodes', body)

const NAMES = [
  '../etc',
  'a/b',
  'a,b',
  'a\0b',
  'a\nb',
  'a'.repeat(300),
  'json:{"driver":"qcow2"}',
  'nbd:127.0.0.1:9',
  '-x',
  'UPPER',
  'ä',
  '',
  ' ',
  '.',
  'a,readonly=off',
  '%2e%2e',
  'a b',
  'a"b',
  "a'b",
  '$(id)',
  'a;b',
  'a|b',
  'a\u202eb',
]

describe('bad input', () => {
  it.each(NAMES)('refuses the name %j and writes nothing', async (name) => {
    const before = revision()
    const answer = await create({ name, image: 'empty' })
    expect(answer.status).toBe(400)
    expect(answer.body.error.code).toBe('bad_request')
    expect(revision()).toBe(before)
    expect(await readdir(lab.backend.services.config.layout.overlays)).toEqual(
      expect.not.arrayContaining([expect.stringMatching(/qcow2/)]),
    )
  })

  it.each([
    [{ name: 'x', image: '../../etc/passwd' }, 'bad_request'],
    [{ name: 'x', image: 'empty', cpus: '2' }, 'bad_request'],
    [{ name: 'x', image: 'empty', cpus: 0 }, 'bad_request'],
    [{ name: 'x', image: 'empty', cpus: 1.5 }, 'bad_request'],
    [{ name: 'x', image: 'empty', memoryMib: -1 }, 'bad_request'],
    [{ name: 'x', image: 'empty', diskBytes: 1e300 }, 'bad_request'],
    [{ name: 'x', image: 'empty', sshKeys: ['ssh-rsa AAAA\nruncmd: [x]'] }, 'bad_request'],
    [{ name: 'x', image: 'empty', guestUser: 'a: b' }, 'bad_request'],
    [{ name: 'x', image: 'empty', binary: '/bin/sh' }, 'unknown_field'],
    [{ name: 'x', image: 'no-such' }, 'not_found'],
    [{ name: 'x', image: 'empty', diskBytes: 1024 * 1024 }, 'disk_too_small'],
    [[], 'bad_request'],
    [null, 'bad_request'],
    ['text', 'bad_json'],
  ])('refuses %j with the code %s', async (body, code) => {
    const before = revision()
    const answer = await create(body)
    expect(answer.body.error.code).toBe(code)
    expect(answer.status).toBeGreaterThanOrEqual(400)
    expect(answer.status).toBeLessThan(500)
    expect(answer.body.error.requestId).toBeTruthy()
    expect(revision()).toBe(before)
  })

  it('refuses a body of 10 MB with 413', async () => {
    const answer = await create({ name: 'x'.repeat(10 * 1024 * 1024), image: 'empty' })
    expect(answer.status).toBe(413)
    expect(answer.body.error.code).toBe('too_large')
  })

  it('refuses broken JSON, and a body that is no JSON', async () => {
    expect((await create('{"name": ')).body.error.code).toBe('bad_json')
    const form = await student.send('POST', '/api/nodes', 'name=x', { 'content-type': 'text/plain' })
    expect(form.body.error.code).toBe('bad_request')
  })

  it('answers an id that can not be one like an absent one', async () => {
    for (const id of ['x', '..%2f..%2fetc', "1' or '1'='1", '%00']) {
      expect((await student.send('GET', `/api/nodes/${id}`)).status).toBe(404)
    }
  })

  it('refuses an unknown query field', async () => {
    expect((await student.send('GET', '/api/nodes?colour=red')).body.error.code).toBe('unknown_field')
  })

  it('never shows a stack, a path or SQL in an error', async () => {
    const answers = [
      await create({ name: 5 }),
      await student.send('GET', '/api/nowhere'),
      await administrator.send('GET', '/api/audit?limit=x'),
    ]
    for (const { body } of answers)
      expect(JSON.stringify(body)).not.toMatch(/node_modules|\bat [\w.]+ \(|:\d+:\d+|select /i)
  })
})

describe('cross-site requests', () => {
  it("a cookie alone changes nothing: the header and the Origin must be the page's", async () => {
    const { accounts } = lab.backend.services
    const cookieOf = async () => {
      const answer = await lab.anonymous.send('POST', '/api/session', {
        login: student.login,
        password: `password of ${student.login}`,
      })
      expect(answer.status).toBe(200)
      return answer.headers.getSetCookie()[0]!
    }
    const set = await cookieOf()
    expect(set).toMatch(/HttpOnly/)
    expect(set).toMatch(/SameSite=Strict/)
    const cookie = set.split(';')[0]!
    const start = (headers: Record<string, string>) =>
      lab.anonymous.send('POST', '/api/session/tokens', { name: 'csrf' }, { cookie, ...headers })
    expect((await start({})).body.error.code).toBe('foreign_origin')
    expect((await start({ 'x-requested-with': 'sandlabx', origin: 'https://evil.example' })).body.error.code).toBe(
      'foreign_origin',
    )
    expect((await start({ 'x-requested-with': 'sandlabx', 'sec-fetch-site': 'cross-site' })).body.error.code).toBe(
      'foreign_origin',
    )
    expect((await start({ 'x-requested-with': 'sandlabx', origin: lab.url })).status).toBe(201)
    expect((await accounts.list()).length).toBeGreaterThan(0)
  })
})
