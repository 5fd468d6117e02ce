import { describe, expect, it } from '@jest/globals'
import { act, screen, waitFor } from '@testing-library/react'
import { rememberOperation } from '../api/operations.js'
import { fakeServer } from '../../test/fake-server.js'
import { NODE_ID, sampleNode, sampleOperation, sampleUser } from '../../test/samples.js'
import { showPage } from '../../test/show.js'
import { verdict } from './TestBootResult.js'

const running = sampleOperation({
  kind: 'node.testBoot',
  title: 'Test boot web-07',
  step: 'Waiting for a login prompt',
})
const report = {
  operationId: running.id,
  title: 'web-07',
  state: 'success',
  seen: 'login',
  message: 'A login prompt came.',
  tookMs: 8400,
  serialTail: ['Welcome to Linux', 'web-07 login:'],
  hasScreenshot: false,
  at: '2026-11-21T08:00:00.000Z',
}

describe('a test boot', () => {
  it('waits for the text that was asked for, shows how far it is, then its report', async () => {
    localStorage.clear()
    let operation = running
    const server = fakeServer({
      'GET session': () => ({ json: { user: sampleUser() } }),
      'GET nodes': () => ({ json: { nodes: [sampleNode()] } }),
      'GET operations': () => ({ json: { operations: [operation] } }),
      'GET operations/:id': () => ({ json: { operation } }),
      'POST test-boots': () => ({ status: 202, json: { operation } }),
      'GET test-boots/:id': () => ({ json: { report } }),
    })
    const { user, client } = showPage(`/nodes?boot=${NODE_ID}`)
    await user.click(await screen.findByRole('checkbox', { name: /Wait for a text of my own/ }))
    await user.type(screen.getByLabelText('Text'), 'ready')
    await user.click(screen.getByRole('button', { name: 'Boot it' }))
    expect(await screen.findByText('Waiting for a login prompt')).toBeTruthy()
    expect(server.calls.find(({ method }) => method === 'POST')?.body).toEqual({
      nodeId: NODE_ID,
      expect: 'ready',
      timeoutSeconds: 180,
    })
    operation = sampleOperation({ ...running, state: 'succeeded', endedAt: '2026-11-21T08:01:00.000Z' })
    act(() => rememberOperation(client, operation))
    expect(await screen.findByText('It booted: a login prompt after 8.4 s.')).toBeTruthy()
    expect(screen.getByText(/web-07 login:/)).toBeTruthy()
  })

  it('is not begun with a pattern that is none', async () => {
    const server = fakeServer({
      'GET session': () => ({ json: { user: sampleUser() } }),
      'GET nodes': () => ({ json: { nodes: [sampleNode()] } }),
      'GET operations': () => ({ json: { operations: [] } }),
    })
    const { user } = showPage(`/nodes?boot=${NODE_ID}`)
    await user.click(await screen.findByRole('checkbox', { name: /Wait for a text of my own/ }))
    await user.type(screen.getByLabelText('Text'), '(')
    const button = screen.getByRole('button', { name: 'Boot it' })
    await waitFor(() => expect(button.getAttribute('aria-disabled')).toBe('true'))
    await user.click(button)
    expect(server.calls.some(({ method }) => method === 'POST')).toBe(false)
  })

  it('says plainly that it did not come up', () => {
    expect(verdict({ state: 'failure', seen: null, tookMs: 180_000 })).toBe('It did not come up.')
  })
})
