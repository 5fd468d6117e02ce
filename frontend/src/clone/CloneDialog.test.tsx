import { beforeEach, describe, expect, it, jest } from '@jest/globals'
import { screen, waitFor, within } from '@testing-library/react'
import { type FakeServer, fakeServer } from '../../test/fake-server.js'
import { NODE_ID, sampleNode, sampleOperation, samplePlan, sampleSpace, sampleUser } from '../../test/samples.js'
import { show } from '../../test/show.js'
import { CurrentUserProvider } from '../api/current-user.js'
import { TasksProvider } from '../shell/tasks-state.js'
import type { CloneRequest } from '../api/clones.js'
import { CloneDialog } from './CloneDialog.js'

const GIB = 1024 ** 3
const TAKEN = 'web-09'
let server: FakeServer

/** As the server plans: a taken name is refused, unless it is to be replaced. */
function planned(body: CloneRequest) {
  const conflict = body.name === TAKEN
  return samplePlan({
    creates: [{ type: 'node', name: body.name }],
    replaces:
      conflict && body.force
        ? [{ type: 'node', id: 'x', name: TAKEN, bytes: 2 * GIB, fate: 'moves to the trash' }]
        : [],
    refusal: conflict && !body.force ? { code: 'name_taken', message: `${TAKEN} exists already.` } : null,
  })
}

beforeEach(() => {
  server = fakeServer({
    'GET nodes': () => ({ json: { nodes: [sampleNode()] } }),
    'GET nodes/:id/snapshots': () => ({ json: { snapshots: [] } }),
    'POST nodes/:id/clone': ({ path, body }) =>
      path.endsWith('?dryRun=true')
        ? { json: { plan: planned(body as CloneRequest) } }
        : { status: 202, json: { operation: sampleOperation() } },
  })
})

function open() {
  const onClose = jest.fn()
  const openTasks = jest.fn()
  const shown = show(
    <CurrentUserProvider value={sampleUser()}>
      <TasksProvider value={openTasks}>
        <CloneDialog node={sampleNode()} onClose={onClose} />
      </TasksProvider>
    </CurrentUserProvider>,
  )
  return { onClose, openTasks, ...shown }
}

const sent = () => server.calls.filter(({ method, path }) => method === 'POST' && !path.includes('dryRun'))
const plan = () => screen.findByRole('region', { name: 'Plan' })

describe('cloning a node', () => {
  it('shows what would happen before anything does, then hands over to the tasks', async () => {
    const { user, onClose, openTasks } = open()
    expect(screen.getByLabelText<HTMLInputElement>('Name').value).toBe('web-08')
    expect(await within(await plan()).findByText('1 new node')).toBeTruthy()
    expect(within(await plan()).getByText('40.0 GiB')).toBeTruthy()
    expect(sent()).toEqual([])
    await user.click(screen.getByRole('button', { name: 'Clone to web-08' }))
    await waitFor(() => expect(onClose).toHaveBeenCalled())
    expect(openTasks).toHaveBeenCalled()
    expect(sent()).toMatchObject([{ path: `nodes/${NODE_ID}/clone`, body: { name: 'web-08', count: 1, full: false } }])
    expect(sent()[0]?.headers['idempotency-key']).toMatch(/^[0-9a-f]{32}$/)
  })

  it('asks what to do about a taken name, and replaces only when told to', async () => {
    const { user } = open()
    const name = screen.getByLabelText('Name')
    await user.clear(name)
    await user.type(name, TAKEN)
    expect(await screen.findByText(`${TAKEN} exists already`)).toBeTruthy()
    await user.click(screen.getByRole('button', { name: `Clone to ${TAKEN}` }))
    expect(sent()).toEqual([])
    await user.click(screen.getByRole('radio', { name: /Replace it/ }))
    expect(await screen.findByText(/web-09 \(2\.0 GiB\) moves to the trash/)).toBeTruthy()
    await user.click(screen.getByRole('button', { name: `Replace ${TAKEN}` }))
    await waitFor(() => expect(sent()).toMatchObject([{ body: { name: TAKEN, force: true } }]))
  })

  it('forgets to replace when the name changes, and offers another one', async () => {
    const { user } = open()
    const name = screen.getByLabelText<HTMLInputElement>('Name')
    await user.clear(name)
    await user.type(name, TAKEN)
    await user.click(await screen.findByRole('radio', { name: /Replace it/ }))
    await user.click(screen.getByRole('radio', { name: /Use another name/ }))
    expect(name.value).toBe('web-10')
    await user.click(screen.getByRole('button', { name: 'Clone to web-10' }))
    await waitFor(() => expect(sent()).toHaveLength(1))
    expect(sent()[0]?.body).not.toHaveProperty('force')
  })

  it('says why it can’t be done, and does not do it', async () => {
    server.on('POST nodes/:id/clone', () => ({
      json: {
        plan: samplePlan({
          space: [sampleSpace({ requiredBytes: 52 * GIB, availableBytes: 45 * GIB, freeUpBytes: 7 * GIB })],
          refusal: { code: 'no_space', message: 'There is not enough room.', hint: 'Free 7.0 GiB.' },
        }),
      },
    }))
    const { user } = open()
    expect(await screen.findByText('There is not enough room.')).toBeTruthy()
    for (const figure of ['52.0 GiB', '45.0 GiB', '7.0 GiB']) expect(screen.getByText(figure)).toBeTruthy()
    await user.click(screen.getByRole('button', { name: /Clone to/ }))
    expect(sent()).toEqual([])
  })

  it('names several by a pattern', async () => {
    const { user } = open()
    const count = screen.getByLabelText('How many')
    await user.clear(count)
    await user.type(count, '12')
    expect(screen.getByLabelText<HTMLInputElement>('Names').value).toBe('web-{n}')
    expect(screen.getByText('web-1, web-2, web-3 … web-12')).toBeTruthy()
    await user.click(screen.getByRole('radio', { name: /Full/ }))
    await user.click(screen.getByRole('button', { name: 'Make 12 clones' }))
    await waitFor(() => expect(sent()).toMatchObject([{ body: { name: 'web-{n}', count: 12, full: true } }]))
  })

  it('shows other owners and other servers only to staff', async () => {
    open()
    await plan()
    expect(screen.queryByLabelText('Owner')).toBeNull()
    expect(screen.queryByRole('button', { name: 'Advanced' })).toBeNull()
  })
})
