import { beforeEach, describe, expect, it } from '@jest/globals'
import { screen, waitFor, within } from '@testing-library/react'
import { type FakeServer, fakeServer } from '../../test/fake-server.js'
import { NODE_ID, sampleOperation, sampleUser } from '../../test/samples.js'
import { showPage } from '../../test/show.js'

const BATCH_ID = '77777777-7777-4777-8777-777777777777'
const running = sampleOperation()
const batch = sampleOperation({
  id: BATCH_ID,
  kind: 'node.create',
  title: 'Create 2 nodes',
  state: 'succeeded',
  outcome: 'committed',
  target: null,
  startedAt: new Date(Date.now() - 60_000).toISOString(),
  endedAt: new Date(Date.now() - 50_000).toISOString(),
  cancellable: false,
  log: [{ at: new Date(Date.now() - 60_000).toISOString(), text: 'Making the disks' }],
  resources: [{ type: 'disk', id: '/overlays/node_1.qcow2' }],
  items: ['web-1', 'web-2'].map((name) => ({ name, id: NODE_ID, state: 'succeeded', error: null })),
})
const failed = sampleOperation({
  id: '88888888-8888-4888-8888-888888888888',
  kind: 'node.clone',
  title: 'Clone db to db-2',
  state: 'failed',
  outcome: 'rolled-back',
  endedAt: '2026-11-21T08:00:30.000Z',
  error: { code: 'no_space', message: 'The disk is full.' },
})
let server: FakeServer

beforeEach(() => {
  server = fakeServer({
    'GET session': () => ({ json: { user: sampleUser() } }),
    'GET nodes': () => ({ json: { nodes: [] } }),
    'GET operations': () => ({ json: { operations: [running, batch, failed] } }),
    'GET operations/:id': ({ path }) => ({ json: { operation: path.endsWith(BATCH_ID) ? batch : failed } }),
    'GET operations/:id/passwords': () => ({
      json: {
        passwords: [{ name: 'web-1', id: NODE_ID, login: 'sam', guestUser: 'sam', guestPassword: 'abcd,efgh' }],
      },
    }),
  })
})

const table = async () => within(await screen.findByRole('table'))

describe('the list of operations', () => {
  it('says how each stands, and whether it is whole or taken back', async () => {
    showPage('/operations')
    const row = async (name: string) => within(await (await table()).findByRole('row', { name: new RegExp(name) }))
    expect((await row('Create 2 nodes')).getByText('committed')).toBeTruthy()
    expect((await row('Clone db')).getByText('rolled back')).toBeTruthy()
    expect((await row('Clone db')).getByText('The disk is full.')).toBeTruthy()
    expect((await row('Download Debian')).getByRole('progressbar')).toBeTruthy()
  })

  it('is narrowed by what the address says', async () => {
    const { user, address } = showPage('/operations?q=web-2')
    expect(await (await table()).findByText('Create 2 nodes')).toBeTruthy()
    expect((await table()).queryByText('Clone db to db-2')).toBeNull()
    await user.click(screen.getByRole('button', { name: /Not done/ }))
    await waitFor(() => expect(address()).toBe('/operations?q=web-2&state=trouble'))
    expect(await screen.findByRole('heading', { name: 'No operation matches' })).toBeTruthy()
  })
})

describe('one operation', () => {
  it('shows its steps, its files and its nodes', async () => {
    showPage(`/operations/${BATCH_ID}`)
    expect(await screen.findByRole('heading', { name: 'Create 2 nodes' })).toBeTruthy()
    expect(screen.getByText('Making the disks')).toBeTruthy()
    expect(screen.getByText('/overlays/node_1.qcow2')).toBeTruthy()
    expect(screen.getByRole('link', { name: 'web-2' })).toBeTruthy()
  })

  it('tells the guest passwords, asks the server for them once, and has them still afterwards', async () => {
    const { user } = showPage(`/operations/${BATCH_ID}`)
    for (let times = 0; times < 2; times += 1) {
      await user.click(await screen.findByRole('button', { name: 'Guest passwords' }))
      expect(await screen.findByText('abcd,efgh')).toBeTruthy()
      await user.click(screen.getByRole('button', { name: 'I have noted them' }))
      await waitFor(() => expect(screen.queryByText('abcd,efgh')).toBeNull())
    }
    expect(server.calls.filter(({ path }) => path.endsWith('/passwords'))).toHaveLength(1)
  })

  it('copies the passwords as comma-separated values', async () => {
    const { user } = showPage(`/operations/${BATCH_ID}`)
    await user.click(await screen.findByRole('button', { name: 'Guest passwords' }))
    await user.click(await screen.findByRole('button', { name: 'Copy as CSV' }))
    expect(await navigator.clipboard.readText()).toBe(
      'node,owner,guest user,guest password\r\nweb-1,sam,sam,"abcd,efgh"\r\n',
    )
  })

  it('offers no passwords to others, nor of what made no nodes', async () => {
    server.on('GET session', () => ({
      json: { user: sampleUser({ id: '99999999-9999-4999-8999-999999999999', role: 'administrator' }) },
    }))
    showPage(`/operations/${BATCH_ID}`)
    await screen.findByRole('heading', { name: 'Create 2 nodes' })
    expect(screen.queryByRole('button', { name: 'Guest passwords' })).toBeNull()
  })

  it('that is not there looks as one that belongs to somebody else', async () => {
    server.on('GET operations/:id', () => ({
      status: 404,
      json: { error: { code: 'not_found', message: 'None.', requestId: 'r' } },
    }))
    showPage('/operations/99999999-9999-4999-8999-999999999999')
    expect(await screen.findByRole('heading', { name: 'There is no such operation' })).toBeTruthy()
  })
})
