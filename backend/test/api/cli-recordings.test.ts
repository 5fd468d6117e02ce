import { afterEach, describe, expect, it } from '@jest/globals'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { aNode, uuid } from '../support/cli-fixtures.js'
import { cli, startStubApi, type StubApi, type StubRoutes } from '../support/cli.js'

const recording = (digit: number, parts: object = {}) => ({
  id: `${digit}0000000-0000-4000-8000-000000000000`,
  nodeId: uuid(1),
  nodeName: 'web-1',
  ownerId: uuid(9),
  kind: 'serial',
  startedAt: '2026-11-21T08:00:00.000Z',
  endedAt: '2026-11-21T08:12:00.000Z',
  sizeBytes: 2048,
  cut: null,
  people: [{ login: 'ada', mode: 'control', at: '2026-11-21T08:00:00.000Z' }],
  ...parts,
})

let api: StubApi
afterEach(() => api?.close())

async function serve(more: StubRoutes = {}): Promise<void> {
  const body = { recordings: [recording(1), recording(2, { kind: 'screen', cut: 'no-space' })] }
  api = await startStubApi({
    'GET /api/nodes': { body: { nodes: [aNode()] } },
    'GET /api/recordings': { body },
    [`GET /api/recordings?nodeId=${uuid(1)}`]: { body },
    ...more,
  })
}

const asked = () => api.requests.map(({ line }) => line)

describe('sandlabx recording', () => {
  it('lists what was recorded, and why something ends early', async () => {
    await serve()
    const { out } = await cli(['recording', 'ls', 'web-1'], { env: api.env })
    const [first, second] = out.split('\n').map((line) => line.split('\t'))
    expect(first).toEqual(expect.arrayContaining(['web-1', 'serial', 'ada', '2.0 KiB', recording(1).id]))
    expect(second).toContain('early: there is no room for recordings on the server')
    expect(asked()).toContain(`GET /api/recordings?nodeId=${uuid(1)}`)
  })

  it('saves one that is named by its first letters, and never over a file', async () => {
    await serve({ [`GET /api/recordings/${recording(1).id}/data`]: { bytes: Buffer.from('{"version":2}') } })
    const folder = await mkdtemp(join(tmpdir(), 'sbx-rec-'))
    const file = join(folder, 'lesson.cast')
    try {
      const { exitCode, out } = await cli(['recording', 'save', '10', file], { env: api.env })
      expect({ exitCode, out }).toMatchObject({ exitCode: 0, out: expect.stringContaining('asciinema play') })
      expect(await readFile(file, 'utf8')).toContain('2')
      expect(await cli(['recording', 'save', '10', file], { env: api.env })).toMatchObject({ exitCode: 2 })
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it('deletes only with --force, and only one', async () => {
    const path = `/api/recordings/${recording(2).id}`
    await serve({ [`DELETE ${path}`]: { status: 204 } })
    expect(await cli(['recording', 'delete', '20'], { env: api.env })).toMatchObject({ exitCode: 2 })
    expect(await cli(['recording', 'delete', '9', '--force'], { env: api.env })).toMatchObject({ exitCode: 1 })
    expect(asked().filter((line) => line.startsWith('DELETE'))).toEqual([])
    expect(await cli(['recording', 'delete', '20', '--force'], { env: api.env })).toMatchObject({ exitCode: 0 })
    expect(asked()).toContain(`DELETE ${path}`)
  })
})

describe('sandlabx history', () => {
  it('tells who had a console open, for how long, and where the next page begins', async () => {
    const visit = {
      id: uuid(5),
      nodeId: uuid(1),
      nodeName: 'web-1',
      userId: uuid(9),
      login: 'ada',
      kind: 'screen',
      engine: 'guacamole',
      mode: 'view',
      address: '192.0.2.1',
      recorded: true,
      openedAt: '2026-11-21T08:00:00.000Z',
      closedAt: '2026-11-21T08:12:00.000Z',
      ended: 'closed',
    }
    await serve({ [`GET /api/nodes/${uuid(1)}/console-history?limit=1`]: { body: { visits: [visit], next: 'mark' } } })
    const { out, err } = await cli(['history', 'web-1', '--limit', '1'], { env: api.env })
    expect(
      out
        .split('\t')
        .slice(1)
        .map((cell) => cell.trim()),
    ).toEqual(['12 min', 'ada', 'screen (Guacamole)', 'watched', 'recorded', '192.0.2.1'])
    expect(err).toContain('--before mark')
  })

  it('switches the recording of one node', async () => {
    await serve({ [`PATCH /api/nodes/${uuid(1)}`]: { body: { node: aNode() } } })
    for (const [word, recorded] of [
      ['on', true],
      ['off', false],
      ['lab', null],
    ] as const) {
      await cli(['set', 'web-1', '--recording', word], { env: api.env })
      expect(api.requests.at(-1)?.body).toEqual({ recording: recorded })
    }
  })
})
