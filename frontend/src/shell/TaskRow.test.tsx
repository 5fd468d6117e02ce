import { describe, expect, it } from '@jest/globals'
import { screen, waitFor } from '@testing-library/react'
import { fakeServer } from '../../test/fake-server.js'
import { NODE_ID, sampleOperation } from '../../test/samples.js'
import { show, showLinked } from '../../test/show.js'
import { notePace } from '../util/pace-store.js'
import { TaskRow } from './TaskRow.js'

const MIB = 1024 * 1024

describe('a task', () => {
  it('shows percent, bytes, rate and time left', () => {
    const at = (bytesDone: number) => sampleOperation({ bytesDone, bytesTotal: 1000 * MIB })
    notePace(at(400 * MIB), 0)
    notePace(at(500 * MIB), 10_000)
    show(<TaskRow operation={at(500 * MIB)} />)
    expect(screen.getByText(/50 % · 0\.5 GiB of 1\.0 GiB · 10 MiB\/s · about 50 s left/)).toBeTruthy()
    expect(screen.getByRole('progressbar', { name: 'Download Debian 13' })).toBeTruthy()
  })

  it('can be cancelled only where that is safe', async () => {
    const server = fakeServer({ 'POST operations/:id/cancel': () => ({ json: { operation: sampleOperation() } }) })
    const { user, unmount } = show(<TaskRow operation={sampleOperation({ cancellable: false })} />)
    await user.click(screen.getByRole('button', { name: 'Cancel' }))
    expect(server.calls).toEqual([])
    unmount()
    const again = show(<TaskRow operation={sampleOperation()} />)
    await again.user.click(screen.getByRole('button', { name: 'Cancel' }))
    await waitFor(() => expect(server.calls).toHaveLength(1))
  })

  it('says what failed and what to do, and opens its log', async () => {
    const { user } = showLinked(
      <TaskRow
        operation={sampleOperation({
          state: 'failed',
          endedAt: '2026-11-21T08:00:30.000Z',
          error: { code: 'checksum_mismatch', message: 'The file is not what was announced.', hint: 'Try again.' },
          log: [{ at: '2026-11-21T08:00:10.000Z', text: 'downloading' }],
        })}
      />,
    )
    expect(await screen.findByText('The file is not what was announced. Try again.')).toBeTruthy()
    expect(screen.queryByText(/downloading/)).toBeNull()
    await user.click(screen.getByRole('button', { name: /Download Debian 13/ }))
    expect(screen.getByText(/downloading/)).toBeTruthy()
    expect(screen.getByText('Took 30 s')).toBeTruthy()
  })

  it('says which of many are done, and why others are not', async () => {
    const { user } = showLinked(<TaskRow operation={sampleOperation({ ...BATCH, progress: null, bytesDone: null })} />)
    expect(await screen.findByText(/67 % · 1 of 3 done, 1 failed/)).toBeTruthy()
    await user.click(screen.getByRole('button', { name: /Create 3 nodes/ }))
    expect(screen.getByRole('link', { name: 'web-1' }).getAttribute('href')).toBe(`/nodes/${NODE_ID}`)
    expect(screen.getByText('web-2 exists already.')).toBeTruthy()
    expect(screen.queryByRole('link', { name: 'web-3' })).toBeNull()
  })
})

const BATCH = {
  kind: 'node.create',
  title: 'Create 3 nodes',
  items: [
    { name: 'web-1', id: NODE_ID, state: 'succeeded', error: null },
    { name: 'web-2', id: null, state: 'failed', error: { code: 'name_taken', message: 'web-2 exists already.' } },
    { name: 'web-3', id: null, state: 'running', error: null },
  ],
}
