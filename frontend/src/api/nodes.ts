import type { NodeEvent } from '@domain/event.js'
import type { createNodeSchema, NodeView, UpdateNode } from '@domain/node.js'
import {
  type QueryClient,
  queryOptions,
  useIsMutating,
  useMutation,
  useMutationState,
  useQuery,
  useQueryClient,
} from '@tanstack/react-query'
import type { z } from 'zod'
import { request } from './client.js'
import { isDeleting } from './work.js'

/** What is sent: fields with a default may be left out. */
export type NewNode = z.input<typeof createNodeSchema>

export const nodesKey = ['nodes'] as const
export const nodeKey = (id: string) => ['nodes', id] as const
export const nodeEventsKey = (id: string) => ['nodes', id, 'events'] as const

export const nodesQuery = queryOptions({
  queryKey: nodesKey,
  queryFn: async ({ signal }) => (await request<{ nodes: NodeView[] }>('GET', 'nodes', { signal })).nodes,
})

export function useNodes() {
  return useQuery(nodesQuery)
}

/** One node; shows at once what the list already knows. */
export function useNode(id: string) {
  const client = useQueryClient()
  return useQuery({
    queryKey: nodeKey(id),
    queryFn: async ({ signal }) => (await request<{ node: NodeView }>('GET', `nodes/${id}`, { signal })).node,
    initialData: () => client.getQueryData(nodesQuery.queryKey)?.find((node) => node.id === id),
    initialDataUpdatedAt: () => client.getQueryState(nodesQuery.queryKey)?.dataUpdatedAt,
  })
}

export function useNodeEvents(id: string) {
  return useQuery({
    queryKey: nodeEventsKey(id),
    queryFn: async ({ signal }) =>
      (await request<{ events: NodeEvent[] }>('GET', `nodes/${id}/events`, { signal })).events,
  })
}

/** Puts a fresh view of a node where lists and pages find it. */
export function rememberNode(client: QueryClient, node: NodeView): void {
  client.setQueryData(nodeKey(node.id), node)
  client.setQueryData(nodesQuery.queryKey, (nodes) => {
    if (!nodes) return nodes
    return nodes.some((one) => one.id === node.id)
      ? nodes.map((one) => (one.id === node.id ? node : one))
      : [...nodes, node]
  })
}

export function forgetNode(client: QueryClient, id: string): void {
  client.setQueryData(nodesQuery.queryKey, (nodes) => nodes?.filter((node) => node.id !== id))
  if (!isDeleting(client, id)) void client.invalidateQueries({ queryKey: nodeKey(id) })
}

/** `guestPassword` is the generated one, answered once; null when one was given or the image takes none. */
export function useCreateNode() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (node: NewNode) =>
      request<{ node: NodeView; guestPassword: string | null }>('POST', 'nodes', { body: node, once: true }),
    onSuccess: ({ node }) => rememberNode(client, node),
  })
}

export function useUpdateNode(id: string) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (change: UpdateNode) => request<{ node: NodeView }>('PATCH', `nodes/${id}`, { body: change }),
    onSuccess: ({ node }) => rememberNode(client, node),
  })
}

export type PowerAction = 'start' | 'stop' | 'stop-now' | 'restart' | 'suspend' | 'discard-memory'

const powerKey = ['power'] as const

/** Starts, stops, restarts and suspends. The status is never guessed: it changes when the server has seen it change. */
export function usePower() {
  const client = useQueryClient()
  return useMutation({
    mutationKey: powerKey,
    mutationFn: ({ id, action }: { id: string; name: string; action: PowerAction }) =>
      action === 'stop-now'
        ? request<{ node: NodeView }>('POST', `nodes/${id}/stop`, { body: { now: true } })
        : request<{ node: NodeView }>('POST', `nodes/${id}/${action}`, { body: {} }),
    onSuccess: ({ node }) => rememberNode(client, node),
  })
}

/** The power action on this node that the server has not answered yet. */
export function usePendingPower(id: string): PowerAction | undefined {
  return usePendingActions().findLast((one) => one.id === id)?.action
}

/** The nodes that were asked to start and have not answered yet. */
export function usePendingStarts(): ReadonlySet<string> {
  return new Set(usePendingActions().flatMap(({ id, action }) => (action === 'start' ? [id] : [])))
}

function usePendingActions() {
  return useMutationState({
    filters: { mutationKey: powerKey, status: 'pending' },
    select: (mutation) => mutation.state.variables as { id: string; action: PowerAction }, // usePower's own
  })
}

export function usePendingPowerCount(): number {
  return useIsMutating({ mutationKey: powerKey })
}

/** Below `/api`: the screen now, of a node that runs. */
export const screenshotPath = (id: string) => `nodes/${id}/screenshot`
/** Below `/api`: the last picture that was taken, also of a stopped node. */
export const lastScreenPath = (id: string) => `nodes/${id}/last-screen`
