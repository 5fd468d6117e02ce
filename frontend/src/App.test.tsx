import { beforeEach, describe, expect, it } from '@jest/globals'
import { screen, waitFor } from '@testing-library/react'
import { type FakeServer, fakeServer, refusal } from '../test/fake-server.js'
import { NODE_ID, sampleNode, sampleUser } from '../test/samples.js'
import { showPage } from '../test/show.js'

const other = sampleNode({ id: '44444444-4444-4444-8444-444444444444', name: 'router', status: 'running' })
let server: FakeServer

function signedIn(user = sampleUser(), nodes = [sampleNode(), other]) {
  server.on('GET session', () => ({ json: { user } }))
  server.on('GET nodes', () => ({ json: { nodes } }))
  server.on('GET nodes/:id', () => ({ json: { node: nodes[0] } }))
  server.on('GET nodes/:id/events', () => ({ json: { events: [] } }))
  server.on('GET images', () => ({ json: { images: [], recipes: [], catalog: [] } }))
  server.on('GET users', () => ({ json: { users: [user] } }))
}

beforeEach(() => {
  server = fakeServer({
    'GET session': () => refusal(401, 'not_signed_in', 'You are not signed in.'),
    'GET operations': () => ({ json: { operations: [] } }),
    'GET health': () => ({ json: { live: true, ready: true, state: 'ok', version: '1', checks: [] } }),
  })
})

describe('signing in', () => {
  it('leads to where one wanted to go', async () => {
    const { user, address } = showPage('/nodes?q=web')
    await user.type(await screen.findByLabelText('Login'), 'sam')
    await user.type(screen.getByLabelText('Password'), 'a long sentence')
    server.on('POST session', () => {
      signedIn()
      return { json: { user: sampleUser() } }
    })
    await user.click(screen.getByRole('button', { name: 'Sign in' }))
    expect(await screen.findByRole('heading', { name: 'My nodes' })).toBeTruthy()
    expect(address()).toBe('/nodes?q=web')
    expect(server.calls.find((call) => call.method === 'POST')?.body).toEqual({
      login: 'sam',
      password: 'a long sentence',
    })
  })

  it('says why it was refused, and where the first password is', async () => {
    server.on('POST session', () => refusal(401, 'bad_credentials', 'The login or the password is wrong.'))
    const { user } = showPage('/')
    await user.type(await screen.findByLabelText('Login'), 'sam')
    await user.type(screen.getByLabelText('Password'), 'nonsense')
    await user.click(screen.getByRole('button', { name: 'Sign in' }))
    expect(await screen.findByText('The login or the password is wrong.')).toBeTruthy()
    expect(screen.getByText('./sandlabx up')).toBeTruthy()
  })

  it('asks for a password of one’s own before anything else', async () => {
    signedIn(sampleUser({ mustChangePassword: true }))
    showPage('/nodes')
    expect(await screen.findByRole('heading', { name: 'Choose your own password' })).toBeTruthy()
    expect(server.calls.map(({ path }) => path)).toEqual(['session'])
  })

  it('is asked for again as soon as any answer says that the session is over', async () => {
    signedIn()
    const { client } = showPage('/nodes')
    await screen.findByRole('heading', { name: 'My nodes' })
    server.on('GET nodes', () => refusal(401, 'not_signed_in', 'You are not signed in.'))
    await client.invalidateQueries({ queryKey: ['nodes'] })
    expect(await screen.findByRole('heading', { name: 'Sign in' })).toBeTruthy()
  })

  it('is not confused with a server that is silent', async () => {
    server.down = true
    showPage('/nodes')
    expect(await screen.findByRole('heading', { name: 'The server does not answer' }, { timeout: 8000 })).toBeTruthy()
  }, 10_000)
})

describe('roles', () => {
  it('let a student with one node land in it', async () => {
    signedIn(sampleUser(), [sampleNode()])
    const { address } = showPage('/')
    await waitFor(() => expect(address()).toBe(`/nodes/${NODE_ID}`), { timeout: 5000 })
  })

  it('give everybody else the list', async () => {
    signedIn()
    const { address } = showPage('/')
    expect(await screen.findByRole('heading', { name: 'My nodes' })).toBeTruthy()
    expect(address()).toBe('/nodes')
  })

  it('show a student no place that is never theirs, also not by its address', async () => {
    signedIn()
    showPage('/people')
    expect(await screen.findByRole('heading', { name: 'There is no such page' }, { timeout: 5000 })).toBeTruthy()
    const places = screen.getAllByRole('navigation', { name: 'Places' })[0]
    expect(places?.textContent).toBe('SandLabXMy nodesConsolesOperationsTrash')
  })

  it('show an administrator all of them', async () => {
    signedIn(sampleUser({ role: 'administrator' }))
    showPage('/nodes')
    await screen.findByRole('heading', { name: 'Nodes' })
    const places = screen.getAllByRole('navigation', { name: 'Places' })[0]
    expect(places?.textContent).toBe('SandLabXNodesConsolesImagesStorageOperationsPeopleActivityHealth')
  })
})
