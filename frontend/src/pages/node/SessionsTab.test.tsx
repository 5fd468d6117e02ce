import { beforeEach, describe, expect, it } from '@jest/globals'
import { screen, within } from '@testing-library/react'
import { type FakeServer, fakeServer } from '../../../test/fake-server.js'
import { NODE_ID, sampleNode, sampleUser } from '../../../test/samples.js'
import { showPage } from '../../../test/show.js'

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
