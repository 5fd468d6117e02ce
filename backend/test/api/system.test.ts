import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { WebSocket } from 'ws'
import { allRoutes } from '../../src/api/routes.js'
import { addTestImage, clientOf, startTestLab, type Person, type TestLab } from '../support/lab.js'

let lab: TestLab
let administrator: Person

beforeAll(async () => {
  lab = await startTestLab()
  await addTestImage(lab.backend.services.config.layout, lab.backend.services.lab!.store)
  administrator = await lab.person('administrator')
}, 60_000)
afterAll(() => lab?.close(), 30_000)

describe('the API about itself', () => {
  it('describes every route in OpenAPI 3.1, with its answers and errors', async () => {
    const { body } = await lab.anonymous.send('GET', '/api/openapi.json')
    expect(body.openapi).toMatch(/^3\.1/)
    for (const route of allRoutes()) {
      const operation = body.paths[route.path]?.[route.method]
      expect(Object.keys(operation.responses)).toContain(String(route.answer.status))
      if (route.access !== 'public')
        expect(Object.keys(operation.responses)).toEqual(expect.arrayContaining(['401', '403']))
    }
    expect(Object.keys(body.components.schemas)).toEqual(
      expect.arrayContaining(['Node', 'ImageView', 'User', 'Operation', 'Error']),
    )
  })

  it('serves its documentation itself, without inline script', async () => {
    const docs = await lab.anonymous.send('GET', '/api/docs')
    expect(docs.status).toBe(200)
    expect(docs.body).not.toMatch(/<script>/)
    for (const file of ['swagger-ui-bundle.js', 'swagger-ui.css', 'start.js']) {
      expect((await lab.anonymous.send('GET', `/api/docs/${file}`)).status).toBe(200)
    }
  })

  it('says how it is: briefly to anybody, in every part to administrators', async () => {
    const anybody = await lab.anonymous.send('GET', '/api/health')
    expect(anybody.body).toMatchObject({ live: true, ready: true, version: '0.0.0-test' })
    expect(anybody.body.checks).toBeUndefined()
    const { checks } = (await administrator.send('GET', '/api/health')).body
    const ids = checks.map((check: { id: string }) => check.id)
    expect(ids).toEqual(
      expect.arrayContaining([
        'state',
        'postgres',
        'qemu',
        'accelerator',
        'memory',
        'disk',
        'folders',
        'guacd',
        'port',
      ]),
    )
    for (const check of checks) if (check.state !== 'ok') expect(check.hint).toBeTruthy()
  })

  it('gives Prometheus its metrics', async () => {
    const { body, headers } = await administrator.send('GET', '/metrics')
    expect(headers.get('content-type')).toMatch(/^text\/plain/)
    expect(body).toMatch(/^sandlabx_nodes\{status="running"\} \d+$/m)
    expect(body).toMatch(/sandlabx_http_request_seconds_bucket\{.*path="\/api\/health"/)
  })

  it('answers with a strict content policy and with no cache', async () => {
    const { headers } = await administrator.send('GET', '/api/nodes')
    expect(headers.get('content-security-policy')).toMatch(/script-src 'self';/)
    expect(headers.get('content-security-policy')).not.toMatch(/unsafe/)
    expect(headers.get('cache-control')).toBe('no-store')
    expect(headers.get('x-request-id')).toBeTruthy()
  })

  it('stops guessing of passwords', async () => {
    const guess = () => lab.anonymous.send('POST', '/api/session', { login: 'admin', password: 'wrong wrong wrong' })
    const answers = []
    for (let i = 0; i < 15; i += 1) answers.push(await guess())
    expect(answers[0]?.status).toBe(401)
    expect(answers.at(-1)?.status).toBe(429)
    expect(Number(answers.at(-1)?.headers.get('retry-after'))).toBeGreaterThan(0)
  })
})

describe('a revoked right', () => {
  it.each(['disabled', 'signed out by a new password', 'token revoked'])(
    'closes an open console within a second: %s',
    async (how) => {
      const student = await lab.person('student')
      const node = (await student.send('POST', '/api/nodes', { name: 'mine', image: 'empty', start: true })).body.node
      const ticket = (await student.send('POST', `/api/nodes/${node.id}/consoles`, { kind: 'serial' })).body
      const socket = new WebSocket(lab.url.replace('http', 'ws') + ticket.url, {
        headers: { authorization: `Bearer ${student.token}` },
      })
      await new Promise((resolve, reject) => {
        socket.once('open', resolve)
        socket.once('error', reject)
      })
      const closed = new Promise<number>((resolve) => socket.once('close', (code) => resolve(code)))
      const began = performance.now()
      if (how === 'disabled') await administrator.send('PATCH', `/api/users/${student.id}`, { disabled: true })
      else if (how === 'token revoked') {
        const { tokens } = (await student.send('GET', '/api/session/tokens')).body
        await student.send('DELETE', `/api/session/tokens/${tokens[0].id}`)
      } else await administrator.send('POST', `/api/users/${student.id}/reset-password`)
      expect(await closed).toBeGreaterThanOrEqual(4401)
      expect(performance.now() - began).toBeLessThan(5000)
      expect((await student.send('GET', '/api/nodes')).status).toBe(401)
    },
  )
})

describe('what survives', () => {
  it('a restart of the backend: running nodes are adopted, everything else is as it was', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'sandlabx-test-'))
    const first = await startTestLab({ dataDir, keep: true })
    await addTestImage(first.backend.services.config.layout, first.backend.services.lab!.store)
    const person = await first.person('administrator')
    const node = (await person.send('POST', '/api/nodes', { name: 'kept', image: 'empty', start: true })).body.node
    const { engine } = first
    await first.close()
    const second = await startTestLab({ dataDir, engine })
    const seen = second.backend.services.lab!.nodes.get(node.id)
    expect(seen).toMatchObject({ name: 'kept', status: 'running', desired: 'running' })
    expect(second.backend.services.lab!.nodes.report.adopted).toEqual(['kept'])
    expect(engine.startsOf(node.id)).toBe(1)
    await second.close()
  }, 60_000)

  it('a damaged state: safe mode, nothing overwritten, and an administrator rebuilds it over the API', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'sandlabx-test-'))
    const first = await startTestLab({ dataDir, keep: true })
    await addTestImage(first.backend.services.config.layout, first.backend.services.lab!.store)
    const maker = await first.person('administrator')
    await maker.send('POST', '/api/nodes', { name: 'precious', image: 'empty' })
    const { layout } = first.backend.services.config
    await first.close()
    await writeFile(layout.stateFile, '{"nodes": [')
    await rm(`${layout.stateFile}.prev`, { force: true })

    const second = await startTestLab({ dataDir })
    const local = clientOf(second.url, {
      authorization: `Bearer ${await readFile(`${layout.state}/local-token`, 'utf8')}`,
    })
    const refused = await local.send('GET', '/api/nodes')
    expect(refused.status).toBe(503)
    expect(refused.body.error.code).toBe('safe_mode')
    expect((await second.anonymous.send('GET', '/api/health')).body).toMatchObject({ ready: false, state: 'failed' })
    expect(await readFile(layout.stateFile, 'utf8')).toBe('{"nodes": [')
    const rebuilt = await local.send('POST', '/api/system/rebuild')
    expect(rebuilt.body).toMatchObject({ nodes: 1 })
    expect((await local.send('GET', '/api/nodes')).body.nodes.map((node: { name: string }) => node.name)).toEqual([
      'precious',
    ])
    expect((await readdir(layout.state)).filter((name) => /nodes-state\.json\..+/.test(name)).length).toBeGreaterThan(0)
    await second.close()
  }, 60_000)
})
