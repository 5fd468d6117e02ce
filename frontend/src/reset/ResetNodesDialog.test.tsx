import { describe, expect, it, jest } from '@jest/globals'
import { screen, waitFor } from '@testing-library/react'
import { fakeServer } from '../../test/fake-server.js'
import { NODE_ID, sampleNode, sampleOperation, samplePlan } from '../../test/samples.js'
import { show } from '../../test/show.js'
import { sampleSnapshot } from '../../test/storage-samples.js'
import { ResetNodesDialog } from './ResetNodesDialog.js'

const GIB = 1024 ** 3
const ROUTER_ID = '44444444-4444-4444-8444-444444444444'
const web = sampleNode()
const router = sampleNode({ id: ROUTER_ID, name: 'router', status: 'running' })
const lost = (id: string, name: string) => ({
  type: 'node' as const,
  id,
  name,
  bytes: 2 * GIB,
  fate: 'moves to the trash',
})

function open(nodes = [web, router]) {
  const plan = samplePlan({
    kind: 'node.reset',
    creates: [],
    space: [],
    replaces: nodes.map(({ id, name }) => lost(id, name)),
  })
  const answer = ({ path }: { path: string }) =>
    path.includes('dryRun=true')
      ? { json: { plan } }
      : { status: 202, json: { operation: sampleOperation({ kind: 'node.reset' }) } }
  const server = fakeServer({
    'POST reset': answer,
    'POST nodes/:id/reset': answer,
    'GET nodes/:id/snapshots': () => ({ json: { snapshots: [sampleSnapshot()] } }),
  })
  const onClose = jest.fn()
  const done = () => server.calls.filter(({ method, path }) => method === 'POST' && !path.includes('dryRun'))
  return { server, onClose, done, ...show(<ResetNodesDialog nodes={nodes} onClose={onClose} />) }
}

describe('resetting many nodes', () => {
  it('shows what each of them loses before anything is done, and names how many', async () => {
    const { user, done, onClose } = open()
    expect(await screen.findByText('web-07')).toBeTruthy()
    expect(screen.getByText('router')).toBeTruthy()
    expect(screen.getByText(/1 running one is stopped for it and started again/)).toBeTruthy()
    expect(done()).toEqual([])
    await user.click(screen.getByRole('button', { name: 'Reset 2 nodes' }))
    await waitFor(() => expect(onClose).toHaveBeenCalled())
    expect(done()).toMatchObject([{ path: 'reset', body: { nodeIds: [NODE_ID, ROUTER_ID] } }])
  })

  it('does what it was asked to plan, option by option', async () => {
    const { server, user, done } = open()
    await user.type(screen.getByLabelText('To the snapshot named'), 'clean')
    await user.click(screen.getByRole('checkbox', { name: /Do not wait for the guests/ }))
    await user.click(screen.getByRole('checkbox', { name: /Reset those that can be reset/ }))
    const body = { nodeIds: [NODE_ID, ROUTER_ID], snapshot: 'clean', now: true, keepGoing: true }
    await waitFor(() => expect(server.calls.at(-1)).toMatchObject({ path: 'reset?dryRun=true', body }))
    await user.click(screen.getByRole('button', { name: 'Reset 2 nodes' }))
    await waitFor(() => expect(done()).toMatchObject([{ body }]))
  })
})

describe('resetting one node', () => {
  it('offers its snapshots beside the base image', async () => {
    const { user, done } = open([web])
    await user.click(await screen.findByRole('combobox', { name: 'To' }))
    await user.click(await screen.findByRole('option', { name: /Snapshot before-update/ }))
    await user.click(screen.getByRole('button', { name: 'Reset web-07' }))
    await waitFor(() =>
      expect(done()).toMatchObject([{ path: `nodes/${NODE_ID}/reset`, body: { snapshot: 'before-update' } }]),
    )
  })

  it('does nothing while the server would refuse it, and says why', async () => {
    const { server, user, done } = open([web])
    const refusal = { code: 'busy', message: 'web-07 is being cloned.' }
    server.on('POST nodes/:id/reset', () => ({ json: { plan: samplePlan({ kind: 'node.reset', refusal }) } }))
    await user.click(await screen.findByRole('combobox', { name: 'To' }))
    await user.click(await screen.findByRole('option', { name: /Snapshot before-update/ }))
    expect(await screen.findByText('web-07 is being cloned.')).toBeTruthy()
    const button = screen.getByRole('button', { name: 'Reset web-07' })
    await waitFor(() => expect(button.getAttribute('aria-disabled')).toBe('true'))
    await user.click(button)
    expect(done()).toEqual([])
  })
})
