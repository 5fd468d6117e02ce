import { beforeEach, describe, expect, it } from '@jest/globals'
import { screen, waitFor, within } from '@testing-library/react'
import { type FakeServer, fakeServer } from '../../test/fake-server.js'
import { NODE_ID, sampleNode, sampleOperation, samplePlan, sampleUser } from '../../test/samples.js'
import { showPage } from '../../test/show.js'
import { sampleOrphan, sampleReport, sampleSpaceReport, sampleTrash } from '../../test/storage-samples.js'

const GIB = 1024 ** 3
const admin = sampleUser({ id: '55555555-5555-4555-8555-555555555555', login: 'ada', role: 'administrator' })
const settings = {
  id: 'lab',
  trashDays: 7,
  snapshotSchedule: { hourly: 0, daily: 0, weekly: 0 },
  verifyHour: 3,
}
let server: FakeServer

const planned =
  (answer: object, plan = samplePlan()) =>
  ({ path }: { path: string }) =>
    path.includes('dryRun=true') ? { json: { plan } } : answer

beforeEach(() => {
  server = fakeServer({
    'GET session': () => ({ json: { user: admin } }),
    'GET nodes': () => ({ json: { nodes: [sampleNode()] } }),
    'GET users': () => ({ json: { users: [admin, sampleUser()] } }),
    'GET images': () => ({ json: { images: [], recipes: [], catalog: [] } }),
    'GET operations': () => ({ json: { operations: [] } }),
    'GET health': () => ({ json: { live: true, ready: true, state: 'ok', version: '1', checks: [] } }),
    'GET storage/space': () => ({ json: { space: sampleSpaceReport() } }),
    'GET trash': () => ({ json: { entries: [sampleTrash()], retentionDays: 7, totalBytes: GIB } }),
    'GET storage/orphans': () => ({ json: { orphans: [sampleOrphan()], totalBytes: GIB } }),
    'GET storage/report': () => ({ json: { report: sampleReport() } }),
    'GET settings': () => ({ json: { settings } }),
  })
})

const changes = () => server.calls.filter(({ method, path }) => method !== 'GET' && !path.includes('dryRun'))

describe('the storage page', () => {
  it('shows where the room is, overcommit in words, and the nodes by size', async () => {
    showPage('/storage')
    const picture = await screen.findByRole('region', { name: 'Room on the disk' })
    expect(within(picture).getByText(/free of 100\.0 GiB/)).toBeTruthy()
    expect(within(picture).getByText('Trash')).toBeTruthy()
    expect(within(picture).getByText(/promise 1\.5 times the room/)).toBeTruthy()
    expect(await screen.findByRole('link', { name: 'web-07' })).toBeTruthy()
  })

  it('leads from a part of the picture to what is in it', async () => {
    const { user, address } = showPage('/storage')
    const picture = await screen.findByRole('region', { name: 'Room on the disk' })
    await user.click(within(picture).getByRole('link', { name: /Snapshots/ }))
    await waitFor(() => expect(address()).toBe('/storage?tab=snapshots'))
    expect(await screen.findByText('Shared layer')).toBeTruthy()
  })

  it('is not there for students; they have their own trash', async () => {
    server.on('GET session', () => ({ json: { user: sampleUser() } }))
    const { user } = showPage('/storage')
    expect(await screen.findByRole('heading', { name: /There is no such page/ })).toBeTruthy()
    const rail = screen.getAllByRole('navigation', { name: 'Places' })[0] as HTMLElement
    expect(within(rail).queryByRole('link', { name: 'Storage' })).toBeNull()
    await user.click(within(rail).getByRole('link', { name: 'Trash' }))
    expect(await screen.findByText('node web-07')).toBeTruthy()
  })
})

describe('the trash', () => {
  it('brings an entry back under another name', async () => {
    const operation = sampleOperation({ kind: 'trash.restore' })
    server.on('POST trash/:id/restore', planned({ status: 202, json: { operation } }))
    const { user } = showPage('/storage?tab=trash')
    await user.click(await screen.findByRole('button', { name: 'Restore node web-07' }))
    await user.type(await screen.findByLabelText('Name'), 'web-08')
    await user.click(screen.getByRole('button', { name: 'Restore it' }))
    await waitFor(() =>
      expect(changes()).toMatchObject([{ path: 'trash/20261120T080000-a1/restore', body: { name: 'web-08' } }]),
    )
  })

  it('removes for good only what was typed by name', async () => {
    server.on('DELETE trash/:id', planned({ status: 204 }))
    const { user } = showPage('/trash')
    await user.click(await screen.findByRole('button', { name: 'Delete node web-07 for good' }))
    const remove = await screen.findByRole('button', { name: 'Delete it for good' })
    await user.click(remove)
    expect(changes()).toEqual([])
    await user.type(screen.getByLabelText('Type web-07 to confirm'), 'web-07')
    await user.click(remove)
    await waitFor(() => expect(changes()).toMatchObject([{ method: 'DELETE', path: 'trash/20261120T080000-a1' }]))
  })

  it('says how long things are kept when it is empty', async () => {
    server.on('GET trash', () => ({ json: { entries: [], retentionDays: 14, totalBytes: 0 } }))
    showPage('/trash')
    expect(await screen.findByText(/waits here for 14 days/)).toBeTruthy()
  })
})

describe('orphans', () => {
  it('come back with one click where the record lies beside them', async () => {
    const formerly = { nodeName: 'old-web', nodeId: NODE_ID, ownerId: sampleUser().id, ownerLogin: 'sam' }
    server.on('GET storage/orphans', () => ({ json: { orphans: [sampleOrphan({ formerly })], totalBytes: GIB } }))
    const operation = sampleOperation({ kind: 'node.attach' })
    server.on('POST storage/attach', planned({ status: 202, json: { operation } }))
    const { user } = showPage('/storage?tab=orphans')
    await user.click(await screen.findByRole('button', { name: 'Attach forgotten.qcow2' }))
    await user.click(await screen.findByRole('button', { name: 'Attach as old-web' }))
    await waitFor(() =>
      expect(changes()).toMatchObject([
        { path: 'storage/attach', body: { path: '/overlays/forgotten.qcow2', name: 'old-web' } },
      ]),
    )
  })

  it('are described in YAML where there is no record, and an error stands at its line', async () => {
    const refusal = { code: 'bad_node_config', message: 'The argument `daemonize` is not allowed (line 6).' }
    server.on('POST storage/attach', planned({}, samplePlan({ kind: 'node.attach', refusal })))
    const { user } = showPage('/storage?tab=orphans')
    await user.click(await screen.findByRole('button', { name: 'Attach forgotten.qcow2' }))
    const editor = await screen.findByLabelText<HTMLTextAreaElement>('Machine')
    expect(editor.value).toContain('file: /overlays/forgotten.qcow2')
    expect(await screen.findByText(/daemonize.*line 6/)).toBeTruthy()
    await waitFor(() => expect(editor.getAttribute('aria-invalid')).toBe('true'))
    expect(screen.getByText('6').hasAttribute('data-wrong')).toBe(true)
    await user.click(screen.getByRole('button', { name: 'Attach as forgotten' }))
    expect(changes()).toEqual([])
  })

  it('are told to be none', async () => {
    server.on('GET storage/orphans', () => ({ json: { orphans: [], totalBytes: 0 } }))
    showPage('/storage?tab=orphans')
    expect(await screen.findByRole('heading', { name: 'No orphaned storage found' })).toBeTruthy()
  })
})

describe('verify', () => {
  it('shows what is not well first, and a repair’s dry run before it is done', async () => {
    const operation = sampleOperation({ kind: 'storage.repair' })
    const plan = samplePlan({
      kind: 'storage.repair',
      files: [{ path: '/overlays/drive_data.qcow2', bytes: 0, fate: 'is made again, empty' }],
    })
    server.on('POST storage/repair', planned({ status: 202, json: { operation } }, plan))
    const { user } = showPage('/storage?tab=verify')
    expect(await screen.findByText('1 of 2 things is not well.')).toBeTruthy()
    const bad = screen.getByRole('list', { name: 'Not well' })
    expect(within(bad).getByText('MISSING')).toBeTruthy()
    await user.click(within(bad).getByRole('button', { name: /Make the drive again/ }))
    expect(await screen.findByText(/is made again, empty/)).toBeTruthy()
    expect(changes()).toEqual([])
    await user.click(screen.getByRole('button', { name: 'Make the drive again' }))
    await waitFor(() =>
      expect(changes()).toMatchObject([
        {
          path: 'storage/repair',
          body: { nodeId: NODE_ID, repair: 'recreate-drive', path: '/overlays/drive_data.qcow2' },
        },
      ]),
    )
  })

  it('runs at the level that is chosen', async () => {
    const operation = sampleOperation({ kind: 'storage.verify', title: 'Verify all storage' })
    server.on('POST storage/verify', () => ({ status: 202, json: { operation } }))
    const { user } = showPage('/storage?tab=verify')
    await user.click(await screen.findByRole('radio', { name: 'Full' }))
    await user.click(screen.getByRole('button', { name: 'Verify everything' }))
    await waitFor(() => expect(changes()).toMatchObject([{ path: 'storage/verify', body: { level: 'full' } }]))
    expect((await screen.findAllByRole('progressbar', { name: 'Verify all storage' })).length).toBeGreaterThan(0)
  })
})

describe('the settings of the lab', () => {
  it('are kept one subject at a time', async () => {
    server.on('PATCH settings', ({ body }) => ({ json: { settings: { ...settings, ...(body as object) } } }))
    const { user } = showPage('/storage?tab=settings')
    const days = await screen.findByLabelText('Kept for (days)')
    await user.clear(days)
    await user.type(days, '30')
    await user.click(screen.getAllByRole('button', { name: 'Save' })[0] as HTMLElement)
    await waitFor(() => expect(changes()).toMatchObject([{ path: 'settings', body: { trashDays: 30 } }]))
  })

  it('are not offered to instructors', async () => {
    server.on('GET session', () => ({ json: { user: { ...admin, role: 'instructor' } } }))
    showPage('/storage?tab=settings')
    expect(await screen.findByRole('navigation', { name: 'Storage' })).toBeTruthy()
    expect(screen.queryByRole('link', { name: 'Settings' })).toBeNull()
    expect(screen.queryByLabelText('Kept for (days)')).toBeNull()
  })
})
