import { afterEach, describe, expect, it } from '@jest/globals'
import { createServer } from 'node:net'
import { aNode, uuid } from '../support/cli-fixtures.js'
import { cli, refusal, startStubApi, type StubAnswer, type StubApi, type StubRoutes } from '../support/cli.js'

let api: StubApi
const serve = async (routes: StubRoutes) => void (api = await startStubApi(routes))
afterEach(() => api?.close())

const made: StubAnswer = { status: 201, body: { node: aNode(), guestPassword: null } }
const starting: StubAnswer = { status: 503, body: refusal('starting_up', 'SandLabX is starting.') }
const create = (...more: string[]) => cli(['create', 'web-1', '--image', 'tiny', ...more], { env: api.env })
const keys = () => api.requests.map(({ headers }) => headers['idempotency-key'])

describe('a POST of the command line', () => {
  it('carries a fresh key each time', async () => {
    await serve({ 'POST /api/nodes': made })
    await create()
    await create()
    const [first, second] = keys()
    expect(first).toMatch(/^[0-9a-f-]{36}$/)
    expect(second).toMatch(/^[0-9a-f-]{36}$/)
    expect(first).not.toBe(second)
  })

  it('is sent again with the same key while SandLabX starts', async () => {
    const list = [starting, starting, made]
    await serve({ 'POST /api/nodes': () => list.shift() ?? { status: 500 } })
    const { exitCode, err } = await create()
    expect({ exitCode, tries: api.requests.length }).toEqual({ exitCode: 0, tries: 3 })
    expect(new Set(keys()).size).toBe(1)
    expect(err).toContain('SandLabX is starting. Trying again.')
  })

  it('is sent again when the connection broke', async () => {
    await serve({ 'POST /api/nodes': made })
    // The request arrives, and its answer is lost.
    api.server.once('request', (_request, response) => response.destroy())
    const { exitCode, err } = await create()
    expect({ exitCode, tries: api.requests.length }).toEqual({ exitCode: 0, tries: 2 })
    expect(new Set(keys()).size).toBe(1)
    expect(err).toContain('Trying again.')
  })

  it('gives up after three more attempts', async () => {
    await serve({ 'POST /api/nodes': starting })
    const { exitCode, err } = await create()
    expect({ exitCode, tries: api.requests.length }).toEqual({ exitCode: 1, tries: 4 })
    expect(err).toMatch(/sandlabx: SandLabX is starting\.\n$/)
  })

  it.each([
    [400, 'bad_request'],
    [401, 'not_signed_in'],
    [409, 'name_taken'],
    [409, 'busy'],
    [422, 'quota_reached'],
    [429, 'too_many_requests'],
    [500, 'internal'],
    [503, 'engine_failed'],
    [507, 'no_space'],
  ])('is not sent again after %d %s', async (status, code) => {
    await serve({ 'POST /api/nodes': { status, body: refusal(code, 'No.') } })
    await create()
    expect(api.requests).toHaveLength(1)
  })

  it('is not sent to nobody without saying so', async () => {
    const closed = createServer()
    await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve))
    const address = closed.address()
    const port = typeof address === 'object' && address ? address.port : 0
    await new Promise((resolve) => closed.close(resolve))
    const env = { SANDLABX_URL: `http://127.0.0.1:${port}`, SANDLABX_TOKEN: 'sbx_x' }
    const { exitCode, err } = await cli(['create', 'web-1', '--image', 'tiny'], { env })
    expect(exitCode).toBe(1)
    expect(err.match(/Trying again/g)).toHaveLength(3)
  })
})

describe('--idempotency-key', () => {
  it('is the key of the first request, and those that follow have keys of their own', async () => {
    const nodes = [aNode({ status: 'stopped' }), aNode({ id: uuid(2), name: 'db', status: 'stopped' })]
    await serve({
      'GET /api/nodes': { body: { nodes } },
      [`POST /api/nodes/${uuid(1)}/start`]: { body: { node: nodes[0] } },
      [`POST /api/nodes/${uuid(2)}/start`]: { body: { node: nodes[1] } },
    })
    await cli(['start', 'web-1', 'db', '--idempotency-key', 'monday'], { env: api.env })
    await cli(['--idempotency-key', 'monday', 'start', 'web-1', 'db'], { env: api.env })
    expect(keys()).toEqual([undefined, 'monday', 'monday:2', undefined, 'monday', 'monday:2'])
  })

  it('says when it was done before', async () => {
    await serve({ 'POST /api/nodes': { ...made, headers: { 'idempotent-replayed': 'true' } } })
    const { exitCode, err } = await create('--idempotency-key', 'monday')
    expect({ exitCode, err }).toMatchObject({ exitCode: 0, err: expect.stringContaining('This was done before') })
    expect((await create()).err).not.toContain('This was done before')
  })

  it('with another request is refused in clear words', async () => {
    const body = refusal('key_reused', 'This Idempotency-Key came with another request before.', 'Send a new key.')
    await serve({ 'POST /api/nodes': { status: 409, body } })
    const { exitCode, err } = await create('--idempotency-key', 'monday')
    expect({ exitCode, tries: api.requests.length }).toEqual({ exitCode: 1, tries: 1 })
    expect(err).toContain('The key monday came with another request before; nothing was done. · Repeat a request')
  })
})
