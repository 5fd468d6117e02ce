import { beforeEach, describe, expect, it, jest } from '@jest/globals'
import type { ImageView } from '@domain/image.js'
import type { User } from '@domain/user.js'
import { screen, waitFor } from '@testing-library/react'
import { CurrentUserProvider } from '../../api/current-user.js'
import { type FakeServer, fakeServer, refusal } from '../../../test/fake-server.js'
import { sampleNode, sampleUser } from '../../../test/samples.js'
import { show } from '../../../test/show.js'
import { CreateNodeForm } from './CreateNodeForm.js'

const GIB = 1024 ** 3
const image = (change: object) =>
  ({
    id: 'debian-12',
    title: 'Debian 12',
    version: '12.11',
    virtualSizeBytes: 2 * GIB,
    firmware: 'bios',
    cloudInit: true,
    loginNotes: '',
    minimumMemoryMib: 512,
    ...change,
  }) as ImageView // what the form reads of it
const images = [image({}), image({ id: 'win-lab', title: 'Windows Lab', cloudInit: false, virtualSizeBytes: 40 * GIB })]
let server: FakeServer

beforeEach(() => {
  server = fakeServer({
    'GET nodes': () => ({ json: { nodes: [] } }),
    'GET users': () => ({ json: { users: [sampleUser()] } }),
    'POST nodes': () => ({ status: 201, json: { node: sampleNode(), guestPassword: 'abcd-efgh-jkmn' } }),
  })
})

function open(user: User = sampleUser()) {
  const onCreated = jest.fn()
  const shown = show(
    <CurrentUserProvider value={user}>
      <CreateNodeForm images={images} begin="yes" onCreated={onCreated} onCancel={() => {}} />
    </CurrentUserProvider>,
  )
  return { onCreated, ...shown }
}

const sent = () => server.calls.find((call) => call.method === 'POST')?.body

describe('creating a node', () => {
  it('sends what the form says, and hands on the password that is shown once', async () => {
    const { user, onCreated } = open()
    const name = screen.getByLabelText('Name')
    await user.clear(name)
    await user.type(name, 'web-07')
    await user.click(screen.getByRole('button', { name: 'Create and start web-07' }))
    await waitFor(() => expect(onCreated).toHaveBeenCalled())
    expect(sent()).toEqual({
      name: 'web-07',
      image: 'debian-12',
      cpus: 1,
      memoryMib: 512,
      diskBytes: 2 * GIB,
      internet: false,
      sshKeys: [],
      start: true,
    })
    expect(onCreated.mock.calls[0]?.[0]).toMatchObject({ guestPassword: 'abcd-efgh-jkmn' })
  })

  it('suggests a name, and refuses a bad one without asking the server', async () => {
    const { user } = open()
    const name = screen.getByLabelText<HTMLInputElement>('Name')
    expect(name.value).toMatch(/^[a-z]+-[a-z]+$/)
    await user.clear(name)
    await user.type(name, '../etc')
    await user.click(screen.getByRole('button', { name: /Create and start/ }))
    expect(screen.getByText(/Lower-case letters, digits and dashes/)).toBeTruthy()
    expect(sent()).toBeUndefined()
  })

  it('takes sizes as they are typed, never below what the image needs', async () => {
    const { user } = open()
    const disk = screen.getByLabelText('Disk')
    await user.clear(disk)
    await user.type(disk, '1 GiB')
    expect(screen.getByText('At least 2.0 GiB')).toBeTruthy()
    await user.clear(disk)
    await user.type(disk, '12G')
    await user.click(screen.getByRole('button', { name: /Create and start/ }))
    await waitFor(() => expect(sent()).toMatchObject({ diskBytes: 12 * GIB }))
  })

  it('asks for no account where the image takes none', async () => {
    const { user } = open()
    expect(screen.getByLabelText('User')).toBeTruthy()
    await user.click(screen.getByRole('radio', { name: /Windows Lab/ }))
    expect(screen.queryByLabelText('User')).toBeNull()
    expect(screen.getByText(/takes no account from SandLabX/)).toBeTruthy()
  })

  it('shows the internet and other owners only to staff', async () => {
    const { unmount } = open()
    expect(screen.queryByLabelText(/May reach the internet/)).toBeNull()
    expect(screen.queryByLabelText('Owner')).toBeNull()
    unmount()
    open(sampleUser({ id: '55555555-5555-4555-8555-555555555555', login: 'ines', role: 'instructor' }))
    expect(screen.getByRole('switch', { name: /May reach the internet/ })).toBeTruthy()
    expect(screen.getByRole('combobox', { name: 'Owner' })).toBeTruthy()
  })

  it('puts a taken name beside the name', async () => {
    server.on('POST nodes', () => refusal(409, 'name_taken', 'A node named web-07 already exists.'))
    const { user } = open()
    await user.click(screen.getByRole('button', { name: /Create and start/ }))
    expect(await screen.findByText('A node named web-07 already exists.')).toBeTruthy()
    expect(screen.queryByText(/was not created/)).toBeNull()
  })
})
