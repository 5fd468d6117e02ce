import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { startTestLab, type Person, type TestLab } from '../support/lab.js'

let lab: TestLab
let instructor: Person
let pageFolder: string

beforeAll(async () => {
  pageFolder = await mkdtemp(join(tmpdir(), 'sandlabx-page-'))
  await mkdir(join(pageFolder, 'assets'))
  await writeFile(join(pageFolder, 'assets/page.js'), 'void 0')
  lab = await startTestLab({ pageFolder })
  instructor = await lab.person('instructor')
}, 60_000)
afterAll(async () => {
  await lab?.close()
  await rm(pageFolder, { recursive: true, force: true })
})

describe('a malformed request is the fault of whoever sent it, never of the server', () => {
  it.each([
    ['GET', '/api/nodes/%ff'],
    ['POST', '/api/operations/%/cancel'],
    ['POST', '/api/nodes/%ed%a0%80/start'],
  ])('answers %s %s, which is no UTF-8, with 400', async (method, path) => {
    const { status, body } = await instructor.send(method, path)
    expect({ status, code: body.error.code }).toEqual({ status: 400, code: 'bad_request' })
  })

  it('answers a body that claims to be gzip and is not with 400, and reads one that is', async () => {
    const body = JSON.stringify({ name: 'a token' })
    const headers = { authorization: `Bearer ${instructor.token}`, 'content-type': 'application/json' }
    const send = (bytes: string | Buffer) =>
      fetch(`${lab.url}/api/session/tokens`, {
        method: 'POST',
        headers: { ...headers, 'content-encoding': 'gzip' },
        body: bytes,
      })
    const refused = await send(body)
    expect(refused.status).toBe(400)
    expect(((await refused.json()) as { error: { code: string } }).error.code).toBe('bad_request')
    expect((await send(gzipSync(body))).status).toBe(201)
  })

  it('answers conditions and ranges that no file of the page meets with 400, and a missing file with 404', async () => {
    const status = async (path: string, headers = {}) =>
      (await lab.anonymous.send('GET', path, undefined, headers)).status
    expect(await status('/assets/page.js')).toBe(200)
    expect(await status('/assets/page.js', { 'if-match': '"other"' })).toBe(400)
    expect(await status('/assets/page.js', { range: 'bytes=900-' })).toBe(400)
    expect(await status('/assets/absent.js')).toBe(404)
  })

  it.each([
    [{}, 412],
    [{ 'tus-resumable': '1.0.0', 'upload-length': '-1' }, 400],
  ])('gives errors of the upload protocol the shape of all others: %j', async (headers, expected) => {
    const { status, body } = await instructor.send('POST', '/api/uploads', undefined, headers)
    expect(status).toBe(expected)
    expect(body.error).toEqual({ code: 'bad_request', message: expect.any(String) })
  })

  it('does not mind an expectation that it does not know', async () => {
    const answers = await raw(
      'GET /api/health/live HTTP/1.1\r\nHost: a\r\nExpect: the-unexpected\r\nConnection: close\r\n\r\n',
    )
    expect(answers).toMatch(/^HTTP\/1\.1 200 /)
  })

  it('keeps the answers of one connection apart when one request waits for "100 Continue"', async () => {
    const request = (path: string, headers: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\n${headers}\r\n`
    const answers = await raw(
      request('/api/health', '') + request('/api/nowhere', 'Expect: 100-continue\r\nConnection: close\r\n'),
    )
    // Never between the head of an answer and its body.
    expect(answers.replace(/^HTTP\/1\.1 100 Continue\r\n\r\n/, '')).not.toContain('100 Continue')
    expect(answers).toMatch(/\r\n\r\n\{"error":\{"code":"not_found"/)
  })
})

/** Everything that comes back until the server closes. */
function raw(bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = connect(Number(new URL(lab.url).port), '127.0.0.1', () => socket.write(bytes))
    socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
    socket.once('end', () => resolve(text))
    socket.once('error', reject)
  })
}
