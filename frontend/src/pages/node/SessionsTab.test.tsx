import { beforeEach, describe, expect, it } from '@jest/globals'
import { screen, waitFor, within } from '@testing-library/react'
import { type FakeServer, fakeServer } from '../../../test/fake-server.js'
import { NODE_ID, sampleNode, sampleUser } from '../../../test/samples.js'
import { showPage } from '../../../test/show.js'

const RECORDING_ID = '0f6c4b1e-0000-4000-8000-0000000000aa'
let server: FakeServer

const visit = (parts: object) => ({
  id: '0f6c4b1e-0000-4000-8000-000000000001',
  nodeId: NODE_ID,
  nodeName: 'web-07',
  userId: '0f6c4b1e-0000-4000-8000-000000000002',
  login: 'ada',
  kind: 'serial',
  engine: 'direct',
  mode: 'control',
  address: '192.0.2.1',
  recorded: false,
  openedAt: '2026-11-21T08:00:00.000Z',
  closedAt: '2026-11-21T08:12:00.000Z',
  ended: 'closed',
  ...parts,
})

beforeEach(() => {
  localStorage.clear()
  server = fakeServer({
    'GET session': () => ({ json: { user: sampleUser() } }),
    'GET nodes': () => ({ json: { nodes: [sampleNode()] } }),
    'GET nodes/:id': () => ({ json: { node: sampleNode() } }),
    'GET nodes/:id/events': () => ({ json: { events: [] } }),
    'GET operations': () => ({ json: { operations: [] } }),
  })
})

const rows = async (name: string) =>
  within(await screen.findByRole('table', { name }))
    .getAllByRole('row')
    .slice(1) as [HTMLElement, ...HTMLElement[]]

describe('who had a console open', () => {
  it('is told with the kind, the way, the time and the place', async () => {
    server.on('GET nodes/:id/console-history', () => ({
      json: {
        visits: [
          visit({ id: '1', kind: 'screen', engine: 'guacamole', mode: 'view', login: 'teacher', recorded: true }),
          visit({ id: '2', ended: 'lost', address: null }),
          visit({ id: '3', closedAt: null, ended: null }),
        ],
        next: null,
      },
    }))
    showPage(`/nodes/${NODE_ID}/sessions`)
    const [screenRow, lost, open] = await rows('Who had a console open')
    for (const words of ['teacher', 'watched, through Guacamole, recorded', '12 min', '192.0.2.1']) {
      expect(within(screenRow).getByText(words)).toBeTruthy()
    }
    expect(within(lost as HTMLElement).getByText(/at least\s*12 min/)).toBeTruthy()
    expect(within(lost as HTMLElement).getByText('not shown')).toBeTruthy()
    expect(within(open as HTMLElement).getByText(/open for/)).toBeTruthy()
  })

  it('is read on from where the page before ended', async () => {
    server.on('GET nodes/:id/console-history', ({ path }) => ({
      json: path.includes('before=mark')
        ? { visits: [visit({ id: '2', login: 'bob' })], next: null }
        : { visits: [visit({ id: '1' })], next: 'mark' },
    }))
    const { user } = showPage(`/nodes/${NODE_ID}/sessions`)
    await user.click(await screen.findByRole('button', { name: 'Show older ones' }))
    expect(await screen.findByText('bob')).toBeTruthy()
    expect(screen.queryByRole('button', { name: 'Show older ones' })).toBeNull()
  })

  it('says what will be here while nobody was', async () => {
    server.on('GET nodes/:id/console-history', () => ({ json: { visits: [], next: null } }))
    showPage(`/nodes/${NODE_ID}/sessions`)
    expect(await screen.findByText('Nobody yet')).toBeTruthy()
  })
})

describe('the recordings of a node', () => {
  const settings = (recordConsoles: boolean) => ({
    json: {
      settings: {
        id: 'lab',
        trashDays: 7,
        snapshotSchedule: { hourly: 0, daily: 0, weekly: 0 },
        verifyHour: 3,
        recordConsoles,
        recordingDays: 30,
        consoleHistoryDays: 365,
      },
    },
  })
  const recording = (parts: object = {}) => ({
    id: RECORDING_ID,
    nodeId: NODE_ID,
    nodeName: 'web-07',
    ownerId: sampleNode().ownerId,
    kind: 'serial',
    startedAt: '2026-11-21T08:00:00.000Z',
    endedAt: '2026-11-21T08:12:00.000Z',
    sizeBytes: 4096,
    cut: null,
    people: [{ login: 'ada', mode: 'control', at: '2026-11-21T08:00:00.000Z' }],
    ...parts,
  })

  beforeEach(() => {
    server.on('GET nodes/:id/console-history', () => ({ json: { visits: [], next: null } }))
    server.on('GET settings', () => settings(true))
    server.on('GET nodes/:id/recordings', () => ({ json: { recordings: [recording()] } }))
  })

  it('are played and deleted by those who teach', async () => {
    server.on('GET session', () => ({ json: { user: sampleUser({ role: 'administrator' }) } }))
    server.on('GET users', () => ({ json: { users: [] } }))
    server.on('DELETE recordings/:id', () => ({ status: 204 }))
    const { user } = showPage(`/nodes/${NODE_ID}/sessions`)
    const [row] = await rows('Recordings')
    const inRow = within(row)
    expect(inRow.getByText('ada')).toBeTruthy()
    expect(inRow.getByRole('link', { name: 'Serial' }).getAttribute('href')).toContain(`/recordings/${RECORDING_ID}`)
    expect(inRow.getByRole('link', { name: /Download/ }).getAttribute('href')).toContain('/data')
    await user.click(inRow.getByRole('button', { name: /Delete/ }))
    await user.click(await screen.findByRole('button', { name: 'Delete the recording' }))
    await waitFor(() =>
      expect(server.calls.map(({ method, path }) => `${method} ${path}`)).toContain(
        `DELETE recordings/${RECORDING_ID}`,
      ),
    )
  })

  it('are only told to a student, who reads that keys are not in them', async () => {
    const me = sampleUser({ role: 'student' })
    server.on('GET session', () => ({ json: { user: me } }))
    server.on('GET nodes/:id', () => ({ json: { node: sampleNode({ ownerId: me.id }) } }))
    showPage(`/nodes/${NODE_ID}/sessions`)
    const [row] = await rows('Recordings')
    expect(within(row).getByText('Serial')).toBeTruthy()
    expect(within(row).queryByRole('link')).toBeNull()
    expect(within(row).queryByRole('button')).toBeNull()
    expect(screen.getByText(/What people type is never recorded/)).toBeTruthy()
  })

  it('are not mentioned where nothing is recorded and nothing was', async () => {
    server.on('GET settings', () => settings(false))
    server.on('GET nodes/:id/recordings', () => ({ json: { recordings: [] } }))
    showPage(`/nodes/${NODE_ID}/sessions`)
    expect(await screen.findByText('Nobody yet')).toBeTruthy()
    expect(screen.queryByRole('heading', { name: 'Recordings' })).toBeNull()
  })

  it('say why one ends early', async () => {
    server.on('GET nodes/:id/recordings', () => ({ json: { recordings: [recording({ cut: 'too-large' })] } }))
    showPage(`/nodes/${NODE_ID}/sessions`)
    expect(await screen.findByText(/has reached its largest size/)).toBeTruthy()
  })

  it('are switched on the node’s settings by those who teach', async () => {
    server.on('GET session', () => ({ json: { user: sampleUser({ role: 'administrator' }) } }))
    server.on('GET users', () => ({ json: { users: [] } }))
    server.on('PATCH nodes/:id', () => ({ json: { node: sampleNode({ recording: false }) } }))
    const { user } = showPage(`/nodes/${NODE_ID}/settings`)
    await user.click(await screen.findByRole('combobox', { name: 'Record what its consoles show' }))
    await user.click(await screen.findByRole('option', { name: 'Not recorded' }))
    await waitFor(() =>
      expect(server.calls.filter(({ method }) => method === 'PATCH')).toMatchObject([{ body: { recording: false } }]),
    )
  })
})
