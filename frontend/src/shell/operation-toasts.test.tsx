import { beforeEach, describe, expect, it } from '@jest/globals'
import type { Operation } from '@domain/operation.js'
import { notifications } from '@mantine/notifications'
import { screen, waitFor } from '@testing-library/react'
import { rememberOperation } from '../api/operations.js'
import { type FakeServer, fakeServer, refusal } from '../../test/fake-server.js'
import { sampleNode, sampleOperation, sampleUser } from '../../test/samples.js'
import { showPage } from '../../test/show.js'
import { sampleTrash } from '../../test/storage-samples.js'

const reset = sampleOperation({
  id: '88888888-8888-4888-8888-888888888888',
  kind: 'node.reset',
  title: 'Reset web-07',
  state: 'succeeded',
  target: { type: 'node', id: sampleNode().id },
  endedAt: '2026-11-21T08:00:02.000Z',
})
let server: FakeServer
let inTrash = true

beforeEach(() => {
  localStorage.clear()
  notifications.clean()
  inTrash = true
  server = fakeServer({
    'GET session': () => ({ json: { user: sampleUser() } }),
    'GET nodes': () => ({ json: { nodes: [sampleNode()] } }),
    'GET operations': () => ({ json: { operations: [] } }),
    'GET trash': () => ({
      json: { entries: inTrash ? [sampleTrash({ operationId: reset.id })] : [], retentionDays: 7, totalBytes: 0 },
    }),
    'POST operations/:id/undo': () => ({
      status: 202,
      json: { operation: sampleOperation({ kind: 'trash.restore' }) },
    }),
  })
})

async function openAndEnd(operation: Operation) {
  const shown = showPage('/nodes?view=table')
  await screen.findByRole('row', { name: 'web-07' })
  await waitFor(() => expect(shown.client.getQueryData(['operations'])).toBeTruthy())
  rememberOperation(shown.client, operation)
  return shown
}

describe('what ends', () => {
  it('offers Undo when it moved something to the trash, however quick it was', async () => {
    const { user } = await openAndEnd(reset)
    expect(await screen.findByText('web-07 is reset; what was there is in the trash')).toBeTruthy()
    await user.click(screen.getByRole('button', { name: 'Undo' }))
    await waitFor(() =>
      expect(server.calls.some(({ method, path }) => method === 'POST' && path === `operations/${reset.id}/undo`)).toBe(
        true,
      ),
    )
  })

  it('says why when it can’t be undone any more', async () => {
    server.on('POST operations/:id/undo', () => refusal(409, 'name_taken', 'There is another web-07 by now.'))
    const { user } = await openAndEnd(reset)
    await user.click(await screen.findByRole('button', { name: 'Undo' }))
    expect(await screen.findByText('There is another web-07 by now.')).toBeTruthy()
  })

  it('offers no Undo when the trash holds nothing of it', async () => {
    inTrash = false
    await openAndEnd(reset)
    expect(await screen.findByText('Reset web-07: done')).toBeTruthy()
    expect(screen.queryByRole('button', { name: 'Undo' })).toBeNull()
  })

  it('is not told of what others did, nor of what had ended before', async () => {
    inTrash = false
    const before = sampleOperation({ ...reset, id: '99999999-9999-4999-8999-999999999999', title: 'Reset before' })
    server.on('GET operations', () => ({ json: { operations: [before] } }))
    const { client } = await openAndEnd(sampleOperation({ ...reset, actorId: 'other', title: 'Reset theirs' }))
    rememberOperation(client, sampleOperation({ ...reset, id: '88888888-8888-4888-8888-888888888889' }))
    expect(await screen.findByText('Reset web-07: done')).toBeTruthy() // ours, said after both of the others
    expect(screen.queryByText(/Reset before|Reset theirs/)).toBeNull()
  })
})
