import { describe, expect, it } from '@jest/globals'
import { fakeServer, refusal } from '../../test/fake-server.js'
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
