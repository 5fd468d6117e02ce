import { beforeEach, describe, expect, it, jest } from '@jest/globals'
import type { ImageView } from '@domain/image.js'
import { screen, waitFor } from '@testing-library/react'
import { type FakeServer, fakeServer } from '../../../../test/fake-server.js'
import { SAM_ID, sampleOperation, samplePlan, sampleUser } from '../../../../test/samples.js'
import { show } from '../../../../test/show.js'
import { CurrentUserProvider } from '../../../api/current-user.js'
import { CreateManyForm } from './CreateManyForm.js'

const GIB = 1024 ** 3
const INES_ID = '55555555-5555-4555-8555-555555555555'
const image = {
  id: 'debian-12',
  title: 'Debian 12',
  version: '12.11',
  virtualSizeBytes: 2 * GIB,
  firmware: 'bios',
  cloudInit: true,
  loginNotes: '',
  minimumMemoryMib: 512,
} as ImageView // what the form reads of it
const ines = sampleUser({ id: INES_ID, login: 'ines', role: 'instructor' })
let server: FakeServer

beforeEach(() => {
  server = fakeServer({
    'GET users': () => ({ json: { users: [ines, sampleUser()] } }),
    'POST nodes/batch': ({ path }) =>
      path.endsWith('?dryRun=true')
        ? { json: { plan: samplePlan() } }
        : { status: 202, json: { operation: sampleOperation() } },
  })
})

function open() {
  const onClose = jest.fn()
  const shown = show(
    <CurrentUserProvider value={ines}>
      <CreateManyForm images={[image]} onClose={onClose} />
    </CurrentUserProvider>,
  )
  return { onClose, ...shown }
}

const sent = () => server.calls.find(({ path }) => path === 'nodes/batch')?.body

describe('creating many nodes', () => {
  it('makes a number of them by a pattern, all or none', async () => {
    const { user, onClose } = open()
    const names = screen.getByLabelText('Names')
    await user.clear(names)
    await user.type(names, 'web-{{nn}')
    await user.click(screen.getByRole('button', { name: 'Create 10 nodes' }))
    await waitFor(() => expect(onClose).toHaveBeenCalled())
    expect(sent()).toEqual({
      template: {
        image: 'debian-12',
        cpus: 1,
        memoryMib: 512,
        diskBytes: 2 * GIB,
        internet: false,
        start: false,
      },
      count: 10,
      name: 'web-{nn}',
      keepGoing: false,
    })
  })

  it('reads a pasted list, and asks for nothing while a line has a fault', async () => {
    const { user } = open()
    await user.click(screen.getByRole('radio', { name: 'A list of names' }))
    await user.click(screen.getByLabelText('One node a line'))
    await user.paste('web-sam, sam, samuel\nweb-x, nobody')
    expect(await screen.findByText(/can’t create nodes for “nobody”/)).toBeTruthy()
    expect(screen.getByText(/1 with a fault/)).toBeTruthy()
    await user.click(screen.getByRole('button', { name: 'Create 2 nodes' }))
    expect(sent()).toBeUndefined()
    for (const { body } of server.calls) expect(JSON.stringify(body ?? '')).not.toContain('web-x')
  })

  it('makes what the list says, for whom it says, and goes on when told to', async () => {
    const { user, onClose } = open()
    await user.click(screen.getByRole('radio', { name: 'A list of names' }))
    await screen.findByText('one for each of 1 students')
    await user.click(screen.getByLabelText('One node a line'))
    await user.paste('name;owner;user\nweb-sam;sam;samuel\nspare')
    await user.click(screen.getByRole('radio', { name: /Keep going/ }))
    await user.click(screen.getByRole('button', { name: 'Create 2 nodes' }))
    await waitFor(() => expect(onClose).toHaveBeenCalled())
    expect(sent()).toMatchObject({
      keepGoing: true,
      nodes: [{ name: 'web-sam', ownerId: SAM_ID, guestUser: 'samuel' }, { name: 'spare' }],
    })
    expect(sent()).not.toHaveProperty('count')
  })

  it('takes a dropped file as the list', async () => {
    const { user } = open()
    await user.click(screen.getByRole('radio', { name: 'A list of names' }))
    const file = new File(['web-a, sam\nweb-b, sam\n'], 'class.csv', { type: 'text/csv' })
    Object.assign(file, { text: async () => 'web-a, sam\nweb-b, sam\n' }) // jsdom's files can't
    await user.upload(screen.getByLabelText('A CSV file'), file)
    expect(await screen.findByText('web-b')).toBeTruthy()
    expect(screen.getByRole('button', { name: 'Create 2 nodes' })).toBeTruthy()
  })
})
