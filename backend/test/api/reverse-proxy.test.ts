import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { io } from 'socket.io-client'
import { WebSocket } from 'ws'
import { addTestImage, clientOf, startTestLab, type Client, type Person, type TestLab } from '../support/lab.js'
import { startPathProxy, type PathProxy } from '../support/path-proxy.js'

const HOST = 'lab.example'
const PAGE = '<!doctype html><base href="__BASE__"><meta name="csp-nonce" content="__CSP_NONCE__">'

describe.each([
  ['takes the path off and says which', true, { SANDLABX_TRUST_PROXY: 'true' }],
  ['leaves the path on', false, { SANDLABX_TRUST_PROXY: 'true', SANDLABX_BASE_PATH: '/school/lab' }],
])('behind a reverse proxy that %s', (_how, takesOff, environment) => {
  let pageFolder: string
  let lab: TestLab
  let proxy: PathProxy
  let student: Person
  let browser: Client
  beforeAll(async () => {
    pageFolder = await mkdtemp(join(tmpdir(), 'sandlabx-page-'))
    await mkdir(join(pageFolder, 'assets'))
    await writeFile(join(pageFolder, 'index.html'), PAGE)
    await writeFile(join(pageFolder, 'assets', 'start.js'), 'export {}')
    lab = await startTestLab({ environment, pageFolder })
    await addTestImage(lab.backend.services.config.layout, lab.backend.services.lab!.store)
    proxy = await startPathProxy({ target: lab.url, path: '/school/lab', host: HOST, takesOff })
    student = await lab.person('student', 'anna')
    browser = clientOf(proxy.url, { origin: `https://${HOST}`, 'x-requested-with': 'sandlabx' })
  }, 60_000)
  afterAll(async () => {
    await proxy?.close()
    await lab?.close()
    await rm(pageFolder, { recursive: true, force: true })
  }, 30_000)

  it('the page names that path, so that all of its addresses are below it, on any of its pages', async () => {
    for (const path of ['', '/', '/nodes', '/nodes/some-id?tab=console']) {
      const { status, body } = await browser.send('GET', path)
      expect({ path, status, base: /href="([^"]*)"/.exec(body)?.[1] }).toEqual({
        path,
        status: 200,
        base: '/school/lab/',
      })
    }
    expect((await browser.send('GET', '/assets/start.js')).status).toBe(200)
    expect((await browser.send('GET', '/api/health/live')).status).toBe(200)
  })

  it('one signs in with a cookie that is bound to the host, and changes things with it', async () => {
    const signedIn = await browser.send('POST', '/api/session', { login: 'anna', password: 'password of anna' })
    const set = signedIn.headers.get('set-cookie') ?? ''
    expect(set).toMatch(/^__Host-sandlabx_session=.*Path=\/;.*Secure/)
    const cookie = set.split(';')[0]!
    const made = await browser.send('POST', '/api/nodes', { name: 'proxied', image: 'empty' }, { cookie })
    expect(made.status).toBe(201)
    const foreign = await browser.send('POST', '/api/nodes', {}, { cookie, origin: 'https://evil.example' })
    expect(foreign.body.error.code).toBe('foreign_origin')
  })

  it('live updates and consoles go through it', async () => {
    const headers = { authorization: `Bearer ${student.token}`, origin: `https://${HOST}` }
    const live = io(new URL(proxy.url).origin, {
      path: `${new URL(proxy.url).pathname}/socket.io/`,
      transports: ['websocket'],
      extraHeaders: headers,
    })
    try {
      await new Promise((resolve, reject) => {
        live.once('connect', () => resolve(undefined))
        live.once('connect_error', reject)
      })
      const node = (await student.send('POST', '/api/nodes', { name: 'seen', image: 'empty', start: true })).body.node
      const { url } = (await student.send('POST', `/api/nodes/${node.id}/consoles`, { kind: 'serial' })).body
      const socket = new WebSocket(proxy.url.replace('http', 'ws') + url, { headers })
      await new Promise((resolve, reject) => {
        socket.once('open', resolve)
        socket.once('error', reject)
      })
      socket.terminate()
    } finally {
      live.disconnect()
    }
  })
})
