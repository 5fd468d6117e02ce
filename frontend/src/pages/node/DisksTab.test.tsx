import { beforeEach, describe, expect, it } from '@jest/globals'
import { screen, waitFor, within } from '@testing-library/react'
import { type FakeServer, fakeServer } from '../../../test/fake-server.js'
import { NODE_ID, sampleNode, samplePlan, sampleUser } from '../../../test/samples.js'
import { showPage } from '../../../test/show.js'
import { sampleDrive, sampleSnapshot } from '../../../test/storage-samples.js'

const GIB = 1024 ** 3
const ines = sampleUser({ id: '55555555-5555-4555-8555-555555555555', login: 'ines', role: 'instructor' })
const root = sampleDrive({ id: 'root', root: true, path: `/overlays/node_${NODE_ID}.qcow2` })
let server: FakeServer

const planned =
  (answer: object) =>
  ({ path }: { path: string }) =>
    path.includes('dryRun=true') ? { json: { plan: samplePlan({ kind: 'drive.create' }) } } : answer

beforeEach(() => {
  localStorage.clear()
  server = fakeServer({
    'GET session': () => ({ json: { user: ines } }),
    'GET nodes': () => ({ json: { nodes: [sampleNode()] } }),
    'GET nodes/:id': () => ({ json: { node: sampleNode() } }),
    'GET nodes/:id/events': () => ({ json: { events: [] } }),
    'GET nodes/:id/drives': () => ({ json: { drives: [root, sampleDrive()] } }),
    'GET nodes/:id/snapshots': () => ({ json: { snapshots: [] } }),
    'GET operations': () => ({ json: { operations: [] } }),
    'GET images': () => ({ json: { images: [], recipes: [], catalog: [] } }),
  })
})

const row = async (id: string) =>
  (await screen.findAllByRole('row')).find((one) => within(one).queryByText(id)) as HTMLElement
const changes = () => server.calls.filter(({ method, path }) => method !== 'GET' && !path.includes('dryRun'))

describe('the disks of a node', () => {
  it('show every field, what waits for the next start, and what is missing', async () => {
    const limits = { ...sampleDrive().limits, bytesPerSecond: 50 * 1024 ** 2 }
    const drive = sampleDrive({
      readOnly: true,
      cache: 'none',
      io: 'native',
      limits,
      appliesAtNextStart: true,
      missing: true,
    })
    server.on('GET nodes/:id/drives', () => ({ json: { drives: [root, drive] } }))
    showPage(`/nodes/${NODE_ID}/disk`)
    await screen.findByText('data')
    const data = within(await row('data'))
    for (const words of ['only read', /none, native/, '50.0 MiB/s', 'at the next start', /makes it again, empty/]) {
      expect(data.getByText(words)).toBeTruthy()
    }
    expect(screen.getByText(/One drive differs from what the running guest has/)).toBeTruthy()
    expect(within(await row('root')).getByText('boots from it')).toBeTruthy()
  })

  it('are more after a drive is added, with its limits as numbers', async () => {
    server.on('POST nodes/:id/drives', planned({ status: 201, json: { drive: sampleDrive({ id: 'data-2' }) } }))
    const { user } = showPage(`/nodes/${NODE_ID}/disk`)
    await screen.findByText('data')
    await user.click(screen.getByText('Add a drive'))
    await user.click(await screen.findByLabelText('Bytes a second', {}, { timeout: 20_000 }))
    await user.paste('10 MiB')
    await user.click(screen.getByText('Add data-2'))
    await waitFor(() =>
      expect(changes()).toMatchObject([
        {
          path: `nodes/${NODE_ID}/drives`,
          body: { id: 'data-2', sizeBytes: 10 * GIB, limits: { bytesPerSecond: 10 * 1024 ** 2 } },
        },
      ]),
    )
  })

  it('refuse the native engine without its cache before the server is asked', async () => {
    const { user } = showPage(`/nodes/${NODE_ID}/disk`)
    await screen.findByText('data')
    await user.click(screen.getByText('Add a drive'))
    const [engine] = await screen.findAllByLabelText('I/O engine', {}, { timeout: 20_000 })
    await user.click(engine as HTMLElement)
    await user.click(await screen.findByText(/^native/))
    await user.click(screen.getByText('Add data-2'))
    expect(screen.getByText('Needs cache “none”')).toBeTruthy()
    expect(changes()).toEqual([])
  })

  it('send only what was changed', async () => {
    server.on('PATCH nodes/:id/drives/:id', planned({ json: { drive: sampleDrive({ readOnly: true }) } }))
    const { user } = showPage(`/nodes/${NODE_ID}/disk`)
    await screen.findByText('data')
    await user.click(screen.getByRole('button', { name: 'Actions for data' }))
    await user.click(await screen.findByRole('menuitem', { name: /Change/ }))
    await user.click(await screen.findByRole('checkbox', { name: 'Read only' }))
    await user.click(screen.getByRole('button', { name: 'Save' }))
    await waitFor(() =>
      expect(changes()).toMatchObject([{ path: `nodes/${NODE_ID}/drives/data`, body: { readOnly: true } }]),
    )
    expect(Object.keys(changes()[0]?.body as object)).toEqual(['readOnly'])
  })

  it('lose a drive and keep its file, unless its removal is asked for', async () => {
    server.on('DELETE nodes/:id/drives/:id', planned({ status: 204 }))
    const { user } = showPage(`/nodes/${NODE_ID}/disk`)
    await screen.findByText('data')
    await user.click(screen.getByRole('button', { name: 'Actions for data' }))
    await user.click(await screen.findByRole('menuitem', { name: 'Remove…' }))
    await user.click(await screen.findByRole('button', { name: 'Remove data, keep its file' }))
    await waitFor(() => expect(changes().map(({ path }) => path)).toEqual([`nodes/${NODE_ID}/drives/data`]))
  })

  it('are only looked at by students', async () => {
    server.on('GET session', () => ({ json: { user: sampleUser() } }))
    showPage(`/nodes/${NODE_ID}/disk`)
    await screen.findByText('data')
    expect(screen.queryByRole('button', { name: 'Add a drive' })).toBeNull()
    expect(screen.queryByRole('button', { name: 'Actions for data' })).toBeNull()
  })

  it('are drawn down to the base image, through the snapshots that they stand on', async () => {
    server.on('GET nodes/:id/snapshots', () => ({ json: { snapshots: [sampleSnapshot({ current: true })] } }))
    showPage(`/nodes/${NODE_ID}/disk`)
    expect(await screen.findByRole('heading', { name: 'Snapshot before-update' })).toBeTruthy()
    const chain = screen.getByRole('region', { name: 'How the root disk is read' })
    expect(
      within(chain)
        .getAllByRole('heading', { level: 3 })
        .map(({ textContent }) => textContent),
    ).toEqual(['Overlay', 'Snapshot before-update', 'Debian 12'])
  })
})
