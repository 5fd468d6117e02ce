import { knownCode, SandlabError } from '../domain/error.js'
import type { GuestPassword, NodeView } from '../domain/node.js'
import type { Operation, OperationItem } from '../domain/operation.js'
import { nodesAnswer, passwordsAnswer } from './answers.js'
import type { Client } from './client.js'
import { shortId } from './follow-operation.js'
import { nodeFacts } from './node-views.js'
import type { Run } from './run.js'
import { oneLine } from './text.js'

/** The nodes are there, but not each as was asked: throws what went wrong with the first. */
export function throwUnlessAllWell({ items }: Pick<Operation, 'items'>): void {
  const failed = items.filter(({ error }) => error !== null)
  const [first] = failed
  if (!first?.error) return
  const which = items.length === 1 ? `${first.name} was made, but` : `${failed.length} of ${items.length} nodes`
  const { code, message, hint } = first.error
  throw new SandlabError(knownCode(code), `${which} could not be started: ${oneLine(message)}`, { hint })
}

/**
 * What an operation made: one node with its facts, several as a table, each with the password that was generated for its
 * guest, which is told this once. One that still runs is only named.
 */
export async function showMade(run: Run, client: Client, operation: Operation): Promise<void> {
  const { output, io } = run
  if (operation.state === 'running') {
    output.done(`Started: ${operation.title}. Look with "sandlabx operations show ${shortId(operation.id)}".`, {
      operation,
    })
    return
  }
  const { nodes: all } = await client.get('/api/nodes', nodesAnswer)
  const nodes = operation.items.flatMap(({ id }) => all.filter((node) => node.id === id))
  const { passwords } = await client.get(`/api/operations/${operation.id}/passwords`, passwordsAnswer)
  const raw = { operation, nodes, passwords }
  const [only] = nodes
  if (operation.items.length === 1 && only) output.facts(factsOf(only, passwords), raw)
  else
    output.table(
      COLUMNS,
      operation.items.map((item) => rowOf(item, nodes, passwords)),
      raw,
    )
  if (output.json || operation.items.length === 1) return
  if (passwords.length > 0) io.stderr.write('The passwords are shown this once.\n')
  for (const { name, error } of operation.items) {
    if (error) io.stderr.write(`${name}: ${oneLine([error.message, error.hint].filter(Boolean).join(' · '))}\n`)
  }
}

const COLUMNS = ['NAME', 'STATUS', 'OWNER', 'GUEST USER', 'PASSWORD', 'ID']

function factsOf(node: NodeView, passwords: readonly GuestPassword[]): [string, string][] {
  const password = passwords.find(({ id }) => id === node.id)?.guestPassword
  return [
    ...nodeFacts(node),
    ...(password === undefined ? [] : [['Password', `${password} (shown this once)`] as [string, string]]),
  ]
}

function rowOf({ id, name, state }: OperationItem, nodes: readonly NodeView[], passwords: readonly GuestPassword[]) {
  const node = nodes.find((one) => one.id === id)
  const password = passwords.find((one) => one.id === id)?.guestPassword ?? ''
  if (!node) return [name, state === 'failed' ? 'failed' : 'not made', '', '', '', '']
  return [node.name, node.status, node.ownerLogin, node.guestUser, password, node.id]
}
