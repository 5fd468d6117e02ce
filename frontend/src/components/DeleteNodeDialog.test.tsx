import { describe, expect, it, jest } from '@jest/globals'
import { screen, waitFor } from '@testing-library/react'
import { type FakeServer, fakeServer, refusal } from '../../test/fake-server.js'
import { NODE_ID, sampleNode, samplePlan } from '../../test/samples.js'
import { show } from '../../test/show.js'
import { DeleteNodeDialog } from './DeleteNodeDialog.js'

const plan = samplePlan({
  kind: 'node.delete',
  title: 'Delete web-07',
  creates: [],
  space: [],
  replaces: [{ type: 'node', id: NODE_ID, name: 'web-07', bytes: 2 * 1024 ** 3, fate: 'stays on the server' }],
})

function open(): { server: FakeServer; onDeleted: ReturnType<typeof jest.fn> } & ReturnType<typeof show> {
  const server = fakeServer({
    'DELETE nodes/:id': ({ path }) => (path.includes('dryRun=true') ? { json: { plan } } : { status: 204 }),
  })
  const onDeleted = jest.fn()
  return {
    server,
    onDeleted,
    ...show(<DeleteNodeDialog node={sampleNode()} onClose={() => {}} onDeleted={onDeleted} />),
  }
}

const deletions = (server: FakeServer) =>
  server.calls.filter((call) => call.method === 'DELETE' && !call.path.includes('dryRun')).map(({ path }) => path)

describe('deleting a node', () => {
  it('shows the server’s plan and keeps the storage unless asked', async () => {
    const { server, user, onDeleted } = open()
    expect(await screen.findByText(/\(2\.0 GiB\) stays on the server/)).toBeTruthy()
    await user.click(screen.getByRole('button', { name: 'Delete web-07, keep its disk' }))
    await waitFor(() => expect(onDeleted).toHaveBeenCalled())
    expect(deletions(server)).toEqual([`nodes/${NODE_ID}`])
  })

  it('deletes the storage only when the box is ticked, and the button says so', async () => {
    const { server, user, onDeleted } = open()
    await user.click(await screen.findByRole('checkbox', { name: /Delete the disk as well/ }))
    await user.click(screen.getByRole('button', { name: 'Delete web-07 and its disk' }))
    await waitFor(() => expect(onDeleted).toHaveBeenCalled())
    expect(deletions(server)).toEqual([`nodes/${NODE_ID}?deleteStorage=true`])
  })

  it('asks for the plan of what is ticked, and deletes nothing by asking', async () => {
    const { server, user } = open()
    await screen.findByText(/stays on the server/)
    await user.click(screen.getByRole('checkbox', { name: /Delete the disk as well/ }))
    await waitFor(() => expect(server.calls.at(-1)?.path).toBe(`nodes/${NODE_ID}?deleteStorage=true&dryRun=true`))
    expect(deletions(server)).toEqual([])
  })

  it('stays open with the reason when the server refuses', async () => {
    const { server, user, onDeleted } = open()
    await screen.findByText(/stays on the server/)
    server.on('DELETE nodes/:id', () => refusal(409, 'wrong_status', 'web-07 is running.', 'Stop it first.'))
    await user.click(screen.getByRole('button', { name: 'Delete web-07, keep its disk' }))
    expect(await screen.findByText('web-07 is running.')).toBeTruthy()
    expect(screen.getByText('Stop it first.')).toBeTruthy()
    expect(onDeleted).not.toHaveBeenCalled()
  })
})
