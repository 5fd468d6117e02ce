import { beforeEach, describe, expect, it } from '@jest/globals'
import { screen, waitFor, within } from '@testing-library/react'
import { type FakeServer, fakeServer, refusal } from '../../test/fake-server.js'
import { NODE_ID, sampleNode, sampleUser } from '../../test/samples.js'
import { showPage } from '../../test/show.js'

const ROUTER_ID = '44444444-4444-4444-8444-444444444444'
const web = sampleNode()
const router = sampleNode({ id: ROUTER_ID, name: 'router', status: 'running', startedAt: '2026-11-21T08:00:00.000Z' })
let server: FakeServer

beforeEach(() => {
  server = fakeServer({
    'GET session': () => ({ json: { user: sampleUser() } }),
    'GET nodes': () => ({ json: { nodes: [web, router] } }),
    'GET operations': () => ({ json: { operations: [] } }),
    'POST nodes/:id/start': () => ({ json: { node: sampleNode({ status: 'running' }) } }),
    'POST nodes/:id/stop': () => ({ json: { node: sampleNode({ id: ROUTER_ID, name: 'router', status: 'stopped' }) } }),
  })
})

const posts = () => server.calls.filter((call) => call.method === 'POST').map((call) => call.path)
const row = (name: string) => screen.findByRole('row', { name })

describe('the list of nodes', () => {
  it('shows what the address says', async () => {
    showPage('/nodes?view=table&q=rout')
    expect(await row('router')).toBeTruthy()
    expect(screen.queryByRole('row', { name: 'web-07' })).toBeNull()
    expect(screen.getByLabelText<HTMLInputElement>('Filter nodes').value).toBe('rout')
  })

  it('shows the rest of a list that is longer than a screen', async () => {
    const many = Array.from({ length: 24 }, (_, index) =>
      sampleNode({ id: `44444444-4444-4444-8444-${String(index).padStart(12, '0')}`, name: `n-${index}` }),
    )
    server.on('GET nodes', () => ({ json: { nodes: many } }))
    showPage('/nodes?view=table')
    await waitFor(() => expect(screen.queryAllByText(/^n-\d+$/)).toHaveLength(24), { timeout: 10_000 })
  })

  it('writes filters into the address', async () => {
    const { user, address } = showPage('/nodes?view=table')
    await row('router')
    await user.click(screen.getByRole('button', { name: /Running/ }))
    await waitFor(() => expect(address()).toBe('/nodes?view=table&status=running'))
    expect(screen.queryByRole('row', { name: 'web-07' })).toBeNull()
    await user.type(screen.getByLabelText('Filter nodes'), 'zzz')
    expect(await screen.findByRole('heading', { name: 'No node matches' })).toBeTruthy()
    await user.click(screen.getByRole('button', { name: 'Clear the filter' }))
    expect(await row('web-07')).toBeTruthy()
  })

  it('offers the one action that makes sense now', async () => {
    showPage('/nodes?view=table')
    expect(within(await row('web-07')).getByRole('button', { name: 'Start web-07' })).toBeTruthy()
    expect(within(await row('router')).getByRole('link', { name: 'Console of router' })).toBeTruthy()
  })

  it('changes a status only when the server says so', async () => {
    let answer: (() => void) | undefined
    server.on('POST nodes/:id/start', async () => {
      await new Promise<void>((resolve) => (answer = resolve))
      return { json: { node: sampleNode({ status: 'running' }) } }
    })
    const { user } = showPage('/nodes?view=table')
    await user.click(within(await row('web-07')).getByRole('button', { name: 'Start web-07' }))
    await waitFor(() => expect(answer).toBeDefined())
    expect(within(await row('web-07')).getByText('Stopped')).toBeTruthy()
    answer?.()
    expect(await within(await row('web-07')).findByText('Running')).toBeTruthy()
  })

  it('says what happened, why and what to do when a start is refused', async () => {
    server.on('POST nodes/:id/start', () => refusal(507, 'no_capacity', 'Not enough memory.', 'Stop another node.'))
    const { user } = showPage('/nodes?view=table')
    await user.click(within(await row('web-07')).getByRole('button', { name: 'Start web-07' }))
    expect(await screen.findByText('web-07 was not started')).toBeTruthy()
    expect(screen.getByText('Not enough memory.')).toBeTruthy()
    expect(screen.getByText('Stop another node.')).toBeTruthy()
  })

  it('is walked with j and k, and the keys act on the row', async () => {
    const { user, address } = showPage('/nodes?view=table')
    await row('router')
    await user.keyboard('jj')
    expect(document.activeElement).toBe(await row('web-07'))
    await user.keyboard('s')
    await waitFor(() => expect(posts()).toEqual([`nodes/${NODE_ID}/start`]))
    await user.keyboard('kx')
    await waitFor(() => expect(address()).toContain(`selected=${ROUTER_ID}`))
    await user.keyboard('{Enter}')
    await waitFor(() => expect(address()).toBe(`/nodes/${ROUTER_ID}`))
  })

  it('leaves letters to the field that one types in', async () => {
    const { user, address } = showPage('/nodes?view=table')
    await row('router')
    await user.keyboard('j/')
    expect(document.activeElement).toBe(screen.getByLabelText('Filter nodes'))
    await user.keyboard('sn')
    await waitFor(() => expect(address()).toBe('/nodes?view=table&q=sn'))
    expect(posts()).toEqual([])
  })

  it('acts on many at once, and each button names how many', async () => {
    const { user } = showPage(`/nodes?view=table&selected=${NODE_ID},${ROUTER_ID}`)
    const bar = await screen.findByRole('region', { name: 'Selected nodes' })
    expect(within(bar).getByText('2 nodes selected')).toBeTruthy()
    await user.click(within(bar).getByRole('button', { name: 'Start 1 node' }))
    await waitFor(() => expect(posts()).toEqual([`nodes/${NODE_ID}/start`]))
    await user.click(within(bar).getByRole('button', { name: /Stop/ }))
    const dialog = await screen.findByRole('dialog')
    await user.click(within(dialog).getByRole('button', { name: /Stop/ }))
    await waitFor(() => expect(posts()).toContain(`nodes/${ROUTER_ID}/stop`))
  })

  it('counts only what is ticked', async () => {
    const { user } = showPage(`/nodes?view=table&selected=${NODE_ID}`)
    expect(await screen.findByText('1 node selected')).toBeTruthy()
    await user.click(screen.getByRole('checkbox', { name: 'Select router' }))
    expect(await screen.findByText('2 nodes selected')).toBeTruthy()
    await user.click(screen.getByRole('checkbox', { name: 'Select all shown nodes' }))
    await waitFor(() => expect(screen.queryByText(/selected/)).toBeNull())
  })

  it('does not act on selected nodes that the filter hides', async () => {
    showPage(`/nodes?view=table&q=web&selected=${NODE_ID},${ROUTER_ID}`)
    expect(await screen.findByText('1 node selected')).toBeTruthy()
  })

  it('is empty with a way on', async () => {
    server.on('GET nodes', () => ({ json: { nodes: [] } }))
    server.on('GET images', () => ({ json: { images: [{}], recipes: [], catalog: [] } }))
    showPage('/nodes')
    expect(await screen.findByRole('heading', { name: 'No nodes yet' })).toBeTruthy()
    expect(screen.getByRole('link', { name: 'Create a node' })).toBeTruthy()
  })
})
