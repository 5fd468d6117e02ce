import { describe, expect, it } from '@jest/globals'
import { type FakeServer, fakeServer, refusal } from '../../test/fake-server.js'
import { ApiError, apiUrl, request } from './client.js'

const failureOf = (asked: Promise<unknown>) =>
  asked.then(
    () => {
      throw new Error('it was expected to fail')
    },
    (error: unknown) => error as ApiError, // what request promises to throw
  )

describe('request', () => {
  it('sends JSON with the header that proves it is our page', async () => {
    const server = fakeServer({ 'POST nodes': () => ({ status: 201, json: { node: 1 } }) })
    await expect(request('POST', 'nodes', { body: { name: 'a' } })).resolves.toEqual({ node: 1 })
    expect(server.calls[0]).toMatchObject({
      body: { name: 'a' },
      headers: { 'x-requested-with': 'sandlabx', 'content-type': 'application/json' },
    })
  })

  it('answers undefined to 204', async () => {
    fakeServer({ 'DELETE nodes/:id': () => ({ status: 204 }) })
    await expect(request('DELETE', 'nodes/1')).resolves.toBeUndefined()
  })

  it('throws what the server said, with hint and request id', async () => {
    fakeServer({ 'GET nodes': () => refusal(507, 'no_space', 'Not enough room.', 'Free 7.3 GiB.') })
    const error = await failureOf(request('GET', 'nodes'))
    expect(error).toBeInstanceOf(ApiError)
    expect(error).toMatchObject({
      status: 507,
      code: 'no_space',
      message: 'Not enough room.',
      hint: 'Free 7.3 GiB.',
      requestId: 'request-1',
    })
  })

  it('makes a sentence of an answer that is not ours', async () => {
    fakeServer({ 'GET nodes': () => ({ status: 502, text: '<html>Bad Gateway</html>' }) })
    expect(await failureOf(request('GET', 'nodes'))).toMatchObject({ code: 'internal', status: 502 })
  })

  it('tells a silent server apart, and what may have happened to a change', async () => {
    fakeServer().down = true
    expect(await failureOf(request('GET', 'nodes'))).toMatchObject({ code: 'unreachable', status: 0 })
    const change = await failureOf(request('POST', 'nodes/1/start'))
    expect(change.hint).toMatch(/may have received this or not/)
  })
})

describe('a request that makes something', () => {
  const make = (name: string) => request('POST', 'nodes', { body: { name }, once: true })
  const keys = (server: FakeServer) => server.calls.map(({ headers }) => headers['idempotency-key'])

  it('carries a key of its own, and a fresh one for each new wish', async () => {
    const server = fakeServer({ 'POST nodes': () => ({ status: 201, json: {} }) })
    await make('a')
    await make('a')
    await make('b')
    for (const key of keys(server)) expect(key).toMatch(/^[0-9a-f]{32}$/)
    expect(new Set(keys(server)).size).toBe(3)
  })

  it('carries the same key when it is sent twice before an answer came', async () => {
    const server = fakeServer({ 'POST nodes': () => ({ status: 201, json: {} }) })
    await Promise.all([make('double'), make('double'), make('other')])
    const [first, second, other] = keys(server)
    expect(second).toBe(first)
    expect(other).not.toBe(first)
  })

  it('keeps its key when the network or a proxy answered, and says that trying again is safe', async () => {
    const server = fakeServer({ 'POST nodes': () => ({ status: 502, text: 'Bad Gateway' }) })
    await failureOf(make('lost'))
    server.down = true
    expect((await failureOf(make('lost'))).hint).toMatch(/Try again .* done only once/)
    server.down = false
    server.on('POST nodes', () => ({ status: 201, json: {} }))
    await make('lost')
    const [before, after] = keys(server)
    expect(after).toBe(before)
  })

  it('takes a new key after the server refused it', async () => {
    const server = fakeServer({ 'POST nodes': () => refusal(507, 'no_space', 'Not enough room.') })
    await failureOf(make('large'))
    await failureOf(make('large'))
    expect(new Set(keys(server)).size).toBe(2)
  })

  it('is the only one that carries a key', async () => {
    const server = fakeServer({ 'POST nodes/:id/start': () => ({ json: {} }) })
    await request('POST', 'nodes/1/start')
    expect(keys(server)).toEqual([undefined])
  })
})

describe('apiUrl', () => {
  it('follows the page’s base, so that a sub-path works', () => {
    const base = document.createElement('base')
    base.href = '/lab/'
    document.head.append(base)
    expect(apiUrl('nodes')).toBe('http://localhost/lab/api/nodes')
    base.remove()
    expect(apiUrl('nodes')).toBe('http://localhost/api/nodes')
  })
})
