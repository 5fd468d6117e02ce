import type { LiveEvent, Topic } from '@domain/event.js'
import type { NodeView } from '@domain/node.js'
import type { Operation } from '@domain/operation.js'
import type { QueryClient, QueryFilters } from '@tanstack/react-query'
import { forgetNode, nodeEventsKey, nodeKey, nodesQuery, rememberNode } from './nodes.js'
import { operationsQuery, rememberOperation } from './operations.js'

/** Puts what the server announces into the cache, or marks it to be asked again. */
export interface LiveCache {
  apply(event: LiveEvent): void
  /**
   * Called at each subscription. What was read before it may have changed unseen; after a gap that is everything, and
   * another process may count revisions from one.
   */
  startOver(what: 'live topics' | 'everything'): void
}

export function createLiveCache(client: QueryClient): LiveCache {
  const revisions = new Map<string, number>()
  return {
    apply(event) {
      const key = `${event.topic}/${event.id}`
      if ((revisions.get(key) ?? 0) >= event.revision) return
      revisions.set(key, event.revision)
      APPLY[event.topic](client, event)
    },
    startOver(what) {
      revisions.clear()
      askAnew(client, {
        predicate: ({ queryKey: [first] }) => what === 'everything' || LIVE.has(first),
      })
    },
  }
}

const LIVE: ReadonlySet<unknown> = new Set(['nodes', 'operations', 'storage'])

const APPLY: Record<Topic, (client: QueryClient, event: LiveEvent) => void> = {
  nodes: applyNode,
  operations: applyOperation,
  images: (client) => askAgain(client, 'images'),
  users: (client) => {
    askAgain(client, 'users')
    askAgain(client, 'session') // a role may have changed
  },
  audit: (client) => askAgain(client, 'audit'),
  health: (client) => askAgain(client, 'health'),
  storage: (client) => {
    askAgain(client, 'storage')
    askAboutParts(client)
  },
}

function applyNode(client: QueryClient, { id, data }: LiveEvent): void {
  if (data === null) {
    forgetNode(client, id)
  } else {
    rememberNode(client, data as NodeView) // the topic's data, by contract
    void client.invalidateQueries({ queryKey: nodeEventsKey(id) })
  }
  for (const queryKey of [nodesQuery.queryKey, nodeKey(id)]) overtake(client, { queryKey, exact: true })
}

function applyOperation(client: QueryClient, { data }: LiveEvent): void {
  const operation = data as Operation | null
  if (operation) rememberOperation(client, operation)
  else askAgain(client, 'operations')
  overtake(client, { queryKey: operationsQuery.queryKey, exact: true })
  if (!operation?.endedAt) return
  if (operation.target?.type === 'image') askAgain(client, 'images')
  askAgain(client, 'storage')
  askAboutParts(client)
}

/** Snapshots, drives and events of nodes: only those that are shown are asked for again. */
function askAboutParts(client: QueryClient): void {
  void client.invalidateQueries({ predicate: ({ queryKey }) => queryKey[0] === 'nodes' && queryKey.length > 2 })
}

/** An answer under way was made before this event and would overwrite it: ask again instead. */
function overtake(client: QueryClient, filters: QueryFilters): void {
  if (client.isFetching(filters)) askAnew(client, filters)
}

/** Also a first answer under way is dropped; `invalidateQueries` alone would wait for it and call it fresh. */
function askAnew(client: QueryClient, filters: QueryFilters): void {
  void client.cancelQueries(filters).then(() => client.invalidateQueries(filters))
}

function askAgain(client: QueryClient, name: string): void {
  void client.invalidateQueries({ queryKey: [name] })
}
