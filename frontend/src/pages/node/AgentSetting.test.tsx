import { describe, expect, it } from '@jest/globals'
import { screen, waitFor } from '@testing-library/react'
import { fakeServer } from '../../../test/fake-server.js'
import { NODE_ID, sampleNode, sampleUser } from '../../../test/samples.js'
import { showPage } from '../../../test/show.js'

const serve = (change: Parameters<typeof sampleNode>[0]) =>
  fakeServer({
    'GET session': () => ({ json: { user: sampleUser() } }),
    'GET nodes': () => ({ json: { nodes: [sampleNode(change)] } }),
    'GET nodes/:id': () => ({ json: { node: sampleNode(change) } }),
    'GET operations': () => ({ json: { operations: [] } }),
    'PATCH nodes/:id': () => ({ json: { node: sampleNode({ ...change, agent: true }) } }),
  })

describe('the port for the guest’s agent', () => {
  it('is switched on in the settings of a stopped node, which say what it is for', async () => {
    const server = serve({})
    const { user } = showPage(`/nodes/${NODE_ID}/settings`)
    const port = await screen.findByRole('switch', { name: /Port for the guest’s agent/ })
    expect(port).toHaveProperty('checked', false)
    expect(screen.getByText(/asks the guest to write everything out before a snapshot/)).toBeTruthy()
    await user.click(port)
    await waitFor(() => expect(port).toHaveProperty('checked', true))
    expect(server.calls.find(({ method }) => method === 'PATCH')?.body).toEqual({ agent: true })
  })

  it('stays as it is while the node runs, with the reason', async () => {
    serve({ status: 'running' })
    showPage(`/nodes/${NODE_ID}/settings`)
    const port = await screen.findByRole('switch', { name: /Port for the guest’s agent/ })
    expect(port).toHaveProperty('disabled', true)
    expect(screen.getByText(/guest agent while it is running\. Stop it first/)).toBeTruthy()
  })
})
