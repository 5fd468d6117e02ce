import { SandlabError } from '../domain/error.js'
import type { NodeView } from '../domain/node.js'
import type { User } from '../domain/user.js'
import { nodesAnswer, usersAnswer } from './answers.js'
import type { Client } from './client.js'

/** A node by id, name, or `owner/name` where the name alone fits several. Throws not_found or bad_request. */
export async function findNode(client: Client, text: string): Promise<NodeView> {
  return pickNode((await client.get('/api/nodes', nodesAnswer)).nodes, text)
}

export async function findNodes(client: Client, texts: string[]): Promise<NodeView[]> {
  const { nodes } = await client.get('/api/nodes', nodesAnswer)
  const found = texts.map((text) => pickNode(nodes, text))
  return [...new Map(found.map((node) => [node.id, node])).values()]
}

export function pickNode(nodes: NodeView[], text: string): NodeView {
  const byId = nodes.find((node) => node.id === text)
  if (byId) return byId
  const matching = nodes.filter((node) => node.name === text || `${node.ownerLogin}/${node.name}` === text)
  const [only, ...others] = matching
  if (only && others.length === 0) return only
  if (!only) {
    throw new SandlabError('not_found', `There is no node "${text}" that you can see.`, {
      hint: 'List them with "sandlabx ls".',
    })
  }
  throw new SandlabError('bad_request', `The name "${text}" fits ${matching.length} nodes.`, {
    hint: `Say which: ${matching.map((node) => `${node.ownerLogin}/${node.name}`).join(', ')}.`,
  })
}

/** A person by login or id. */
export async function findUser(client: Client, text: string): Promise<User> {
  const { users } = await client.get('/api/users', usersAnswer)
  const user = users.find((each) => each.login === text || each.id === text)
  if (user) return user
  throw new SandlabError('not_found', `There is no person "${text}".`, { hint: 'List them with "sandlabx user ls".' })
}
