import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { createRemote, type RemoteOptions } from './remote.js'
import { isNotNow, refusalFrom, remoteRefusal } from './remote-refusal.js'

const request = { method: 'GET', path: '/api/images' } as const
const remoteAt = (url: string, changes: Partial<RemoteOptions> = {}) =>
  createRemote({ url, token: 'secret', signal: new AbortController().signal, pausesMs: [1, 1, 1], ...changes })
const anything = z.looseObject({})

describe('the words of another SandLabX', () => {
  it.each([
    ['no_space', 'no_space'],
    ['name_taken', 'name_taken'],
    ['checksum_mismatch', 'checksum_mismatch'],
    ['not_signed_in', 'remote_failed'],
    ['internal', 'remote_failed'],
    ['state_locked', 'remote_failed'],
    ['a code that we do not know', 'remote_failed'],
  ])('%s there is %s here', (code, here) => {
    expect(refusalFrom('other', { code, message: 'why' })).toMatchObject({ code: here, message: 'other: why' })
  })

  it('are cut, and have no control characters', () => {
    const { message } = refusalFrom('other', { code: 'no_space', message: `\u001b[2J\u202e${'x'.repeat(10_000)}` })
    expect(message).toMatch(/^other: {2}\[2J /)
    expect(message.length).toBeLessThan(600)
  })

  it('about a token, a redirect, and a route that is not there say what to do', () => {
    const hintOf = (status: number, path: string) =>
      remoteRefusal('other', { method: 'POST', path }, { status, body: '' }).hint
    expect(hintOf(401, '/api/images')).toContain('token')
    expect(hintOf(302, '/api/images')).toContain('not followed')
    expect(hintOf(404, '/api/transfers?dryRun=true')).toContain('older')
  })

  it('tell whether asking again may help', () => {
    const answer = (status: number, code?: string) =>
      isNotNow({ status, body: code === undefined ? '<html>' : JSON.stringify({ error: { code, message: '' } }) })
    expect([answer(502), answer(503, 'starting_up'), answer(429, 'too_many_requests')]).toEqual([true, true, true])
    expect([answer(503, 'safe_mode'), answer(507, 'no_space'), answer(404)]).toEqual([false, false, false])
  })
})

describe('an address', () => {
  it.each(['ftp://host/', 'file:///etc/passwd', 'https://user:pass@host/', '//host', ''])('%s is refused', (url) => {
    expect(() => remoteAt(url)).toThrow(expect.objectContaining({ code: 'bad_request' }))
  })
})

describe('a connection', () => {
  let folder: string
  const servers: Server[] = []
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'remote-'))
    const names = ['-keyout', join(folder, 'key'), '-out', join(folder, 'certificate'), '-subj', '/CN=localhost']
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', ...names], {
      stdio: 'ignore',
    })
  })
  afterAll(() => {
    for (const server of servers) server.close()
    rmSync(folder, { recursive: true })
  })

  async function listen(server: Server): Promise<number> {
    servers.push(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
    return (server.address() as AddressInfo).port // it listens on TCP
  }

  it('to a server with a certificate that nobody vouches for is an error, and hears no token', async () => {
    let heard = 0
    const keys = { key: readFileSync(join(folder, 'key')), cert: readFileSync(join(folder, 'certificate')) }
    const port = await listen(createTlsServer(keys, (_request, response) => void ((heard += 1), response.end('{}'))))
    const asked = remoteAt(`https://127.0.0.1:${port}`).ask(anything, request)
    await expect(asked).rejects.toMatchObject({
      code: 'remote_failed',
      message: expect.stringContaining('certificate'),
    })
    expect(heard).toBe(0)
  })

  it('is tried again while it is lost, and given up in the end', async () => {
    let asked = 0
    const port = await listen(
      createServer((_request, response) => {
        asked += 1
        if (asked < 3) response.destroy()
        else response.end('{"fine":true}')
      }),
    )
    const lost: string[] = []
    const options = { onLost: (reason: string) => void lost.push(reason) }
    expect(await remoteAt(`http://127.0.0.1:${port}`, options).ask(anything, request)).toEqual({ fine: true })
    expect(lost).toHaveLength(2)
    asked = -10
    await expect(remoteAt(`http://127.0.0.1:${port}`).ask(anything, request)).rejects.toMatchObject({
      code: 'remote_failed',
      hint: expect.stringContaining('same key'),
    })
    expect(asked).toBe(-6) // once, and after each of three pauses
  })

  it('with an answer that does not end, or is no JSON, is refused', async () => {
    const port = await listen(
      createServer((request, response) => {
        if (request.url?.endsWith('text') === true) {
          response.end('hello')
          return
        }
        const more = () => {
          while (response.write(Buffer.alloc(65_536)));
          response.once('drain', more)
        }
        more()
      }),
    )
    const remote = remoteAt(`http://127.0.0.1:${port}`)
    const refusal = expect.objectContaining({ code: 'remote_failed' })
    await expect(remote.ask(anything, { method: 'GET', path: '/endless' })).rejects.toEqual(refusal)
    await expect(remote.ask(anything, { method: 'GET', path: '/text' })).rejects.toEqual(refusal)
  })
})
