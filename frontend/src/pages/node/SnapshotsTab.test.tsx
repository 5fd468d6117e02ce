import { beforeEach, describe, expect, it } from '@jest/globals'
import { screen, waitFor, within } from '@testing-library/react'
import { type FakeServer, fakeServer } from '../../../test/fake-server.js'
import { NODE_ID, sampleNode, sampleOperation, samplePlan, sampleUser } from '../../../test/samples.js'
import { showPage } from '../../../test/show.js'
import { SNAPSHOT_ID, sampleSnapshot } from '../../../test/storage-samples.js'

const lab = { id: 'lab', trashDays: 7, snapshotSchedule: { hourly: 0, daily: 0, weekly: 0 }, verifyHour: 3 }
const operation = sampleOperation({ kind: 'snapshot.create', target: { type: 'node', id: NODE_ID } })
let server: FakeServer

const planned =
  (answer: object) =>
  ({ path }: { path: string }) =>
    path.includes('dryRun=true') ? { json: { plan: samplePlan({ kind: 'snapshot.create' }) } } : answer

function running() {
  const node = sampleNode({ status: 'running' })
  server.on('GET nodes', () => ({ json: { nodes: [node] } }))
  server.on('GET nodes/:id', () => ({ json: { node } }))
}

beforeEach(() => {
  localStorage.clear()
  server = fakeServer({
    'GET session': () => ({ json: { user: sampleUser() } }),
    'GET nodes': () => ({ json: { nodes: [sampleNode()] } }),
    'GET nodes/:id': () => ({ json: { node: sampleNode() } }),
    'GET nodes/:id/events': () => ({ json: { events: [] } }),
    'GET nodes/:id/drives': () => ({ json: { drives: [] } }),
    'GET nodes/:id/snapshots': () => ({ json: { snapshots: [sampleSnapshot({ note: 'All well', current: true })] } }),
    'GET operations': () => ({ json: { operations: [] } }),
    'GET settings': () => ({ json: { settings: lab } }),
  })
})

const changes = () => server.calls.filter(({ method, path }) => method !== 'GET' && !path.includes('dryRun'))

describe('the snapshots of a node', () => {
  it('are a line from where the node is down to its image, with notes and sizes', async () => {
    showPage(`/nodes/${NODE_ID}/snapshots`)
    const tree = await screen.findByRole('list', { name: 'Snapshots, newest first' })
    const rows = within(tree).getAllByRole('listitem')
    expect(rows).toHaveLength(3)
    expect(within(rows[0] as HTMLElement).getByText('You are here')).toBeTruthy()
    const snapshot = within(rows[1] as HTMLElement)
    for (const words of ['before-update', 'All well', 'the node stands on it', '1.0 GiB']) {
      expect(snapshot.getByText(words)).toBeTruthy()
    }
    expect(within(rows[2] as HTMLElement).getByText('the base image')).toBeTruthy()
  })

  it('are taken with the memory of a running guest, if one likes', async () => {
    running()
    server.on('POST nodes/:id/snapshots', planned({ status: 202, json: { operation } }))
    const { user } = showPage(`/nodes/${NODE_ID}/snapshots?new=yes`)
    const name = await screen.findByLabelText('Name')
    await user.clear(name)
    await user.type(name, 'clean')
    await user.type(screen.getByLabelText('Note'), 'Before the exam')
    await user.click(screen.getByRole('checkbox', { name: 'With its memory' }))
    await user.click(screen.getByRole('button', { name: 'Take clean' }))
    await waitFor(() =>
      expect(changes()).toMatchObject([
        { path: `nodes/${NODE_ID}/snapshots`, body: { name: 'clean', note: 'Before the exam', memory: true } },
      ]),
    )
  })

  it('say nothing of memory while the node is off, and refuse a name that is taken', async () => {
    const { user } = showPage(`/nodes/${NODE_ID}/snapshots?new=yes`)
    const name = await screen.findByLabelText('Name')
    expect(screen.queryByRole('checkbox', { name: 'With its memory' })).toBeNull()
    await user.clear(name)
    await user.type(name, 'before-update')
    expect((await screen.findAllByText('This node has a snapshot of that name')).length).toBeGreaterThan(0)
  })

  it('are gone back to after it was said what is lost and where it goes', async () => {
    running()
    server.on('POST nodes/:id/snapshots/:id/restore', planned({ status: 202, json: { operation } }))
    const { user } = showPage(`/nodes/${NODE_ID}/snapshots`)
    await user.click(await screen.findByRole('button', { name: 'Restore before-update' }))
    const dialog = within(await screen.findByRole('dialog'))
    expect(dialog.getByText(/moves to the trash; Undo brings it back/)).toBeTruthy()
    expect(dialog.getByText(/stopped for it and started again/)).toBeTruthy()
    await user.click(dialog.getByRole('button', { name: 'Restore before-update' }))
    await waitFor(() =>
      expect(changes()).toMatchObject([{ path: `nodes/${NODE_ID}/snapshots/${SNAPSHOT_ID}/restore`, body: {} }]),
    )
  })

  it('can be renamed, downloaded and deleted', async () => {
    server.on('PATCH nodes/:id/snapshots/:id', () => ({ json: { snapshot: sampleSnapshot({ name: 'golden' }) } }))
    const { user } = showPage(`/nodes/${NODE_ID}/snapshots`)
    await user.click(await screen.findByRole('button', { name: 'More actions for before-update' }))
    const link = await screen.findByRole('menuitem', { name: 'Download as qcow2' })
    expect(link.getAttribute('href')).toContain(`/snapshots/${SNAPSHOT_ID}/export?drive=root`)
    await user.click(screen.getByRole('menuitem', { name: /Rename/ }))
    const name = await screen.findByLabelText('Name')
    await user.clear(name)
    await user.type(name, 'golden')
    await user.click(screen.getByRole('button', { name: 'Save' }))
    await waitFor(() => expect(changes()).toMatchObject([{ method: 'PATCH', body: { name: 'golden' } }]))
  })

  it('are taken by themselves as the node’s own schedule says', async () => {
    const schedule = { hourly: 0, daily: 7, weekly: 0 }
    server.on('PUT nodes/:id/snapshot-schedule', () => ({
      json: { node: sampleNode({ snapshotSchedule: schedule }) },
    }))
    const { user } = showPage(`/nodes/${NODE_ID}/snapshots`)
    await user.click(await screen.findByRole('radio', { name: /Its own/ }))
    await user.click(screen.getByRole('button', { name: 'Save the schedule' }))
    await waitFor(() => expect(changes()).toMatchObject([{ method: 'PUT', body: { schedule } }]))
  })

  it('are none, with the next step', async () => {
    server.on('GET nodes/:id/snapshots', () => ({ json: { snapshots: [] } }))
    const { user, address } = showPage(`/nodes/${NODE_ID}/snapshots`)
    expect(await screen.findByRole('heading', { name: 'No snapshots yet' })).toBeTruthy()
    await user.click(screen.getByRole('button', { name: 'Take a snapshot' }))
    await waitFor(() => expect(address()).toContain('new=yes'))
  })
})
