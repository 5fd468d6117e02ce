import { describe, expect, it } from '@jest/globals'
import type { LiveEvent } from '@domain/event.js'
import { QueryClient, QueryObserver } from '@tanstack/react-query'
import { NODE_ID, sampleNode, sampleOperation } from '../../test/samples.js'
import { createLiveCache } from './live-cache.js'
import { nodeKey, nodesKey } from './nodes.js'
import { operationsQuery } from './operations.js'

const event = (revision: number, data: unknown, topic: LiveEvent['topic'] = 'nodes', id = NODE_ID): LiveEvent => ({
  topic,
  id,
  revision,
  data,
})

function setUp() {
  const client = new QueryClient()
  client.setQueryData(nodesKey, [sampleNode()])
  client.setQueryData(nodeKey(NODE_ID), sampleNode())
  return { client, cache: createLiveCache(client) }
}

const statusIn = (client: QueryClient) =>
  client.getQueryData<{ status: string }[]>(nodesKey)?.map((node) => node.status)

async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 200; turn += 1) {
    if (condition()) return
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  throw new Error('it never became so')
}

describe('live events', () => {
  it('change the node in the list and on its page', () => {
    const { client, cache } = setUp()
    cache.apply(event(5, sampleNode({ status: 'running' })))
    expect(statusIn(client)).toEqual(['running'])
    expect(client.getQueryData(nodeKey(NODE_ID))).toMatchObject({ status: 'running' })
  })

  it('that are older than what is known are not heard', () => {
    const { client, cache } = setUp()
    cache.apply(event(5, sampleNode({ status: 'running' })))
    cache.apply(event(4, sampleNode({ status: 'starting' })))
    expect(statusIn(client)).toEqual(['running'])
  })

  it('count anew after a gap, because another process may count from one', () => {
    const { client, cache } = setUp()
    cache.apply(event(500, sampleNode({ status: 'running' })))
    cache.startOver('everything')
    cache.apply(event(1, sampleNode({ status: 'stopping' })))
    expect(statusIn(client)).toEqual(['stopping'])
  })

  it('ask for everything again after a gap', async () => {
    const { client, cache } = setUp()
    client.setQueryData(['users'], [])
    cache.startOver('live topics')
    await until(() => client.getQueryState(nodesKey)?.isInvalidated === true)
    expect(client.getQueryState(['users'])?.isInvalidated).toBe(false)
    cache.startOver('everything')
    await until(() => client.getQueryState(['users'])?.isInvalidated === true)
  })

  it('add new nodes and take away those that are gone', () => {
    const { client, cache } = setUp()
    cache.apply(event(1, sampleNode({ id: 'other' }), 'nodes', 'other'))
    expect(statusIn(client)).toHaveLength(2)
    cache.apply(event(2, null))
    expect(client.getQueryData<{ id: string }[]>(nodesKey)?.map((node) => node.id)).toEqual(['other'])
    expect(client.getQueryState(nodeKey(NODE_ID))?.isInvalidated).toBe(true)
  })

  it('do not lose to an answer that was under way', async () => {
    const client = new QueryClient()
    const cache = createLiveCache(client)
    const answers = ['stopped', 'running']
    const release: (() => void)[] = []
    const observer = new QueryObserver(client, {
      queryKey: nodesKey,
      queryFn: async () => {
        const status = answers.shift()
        await new Promise<void>((resolve) => release.push(resolve))
        return [sampleNode({ status })]
      },
    })
    const stop = observer.subscribe(() => {})
    cache.apply(event(1, sampleNode({ status: 'running' })))
    await until(() => release.length === 2)
    for (const done of release) done()
    await until(() => client.getQueryData(nodesKey) !== undefined)
    expect(statusIn(client)).toEqual(['running'])
    stop()
  })

  it('keep operations in step and ask for images when one has made an image', () => {
    const { client, cache } = setUp()
    client.setQueryData(operationsQuery.queryKey, [sampleOperation()])
    client.setQueryData(['images'], {})
    const ended = sampleOperation({ state: 'succeeded', endedAt: '2026-11-21T08:01:00.000Z' })
    cache.apply(event(1, ended, 'operations', ended.id))
    expect(client.getQueryData(operationsQuery.queryKey)).toMatchObject([{ state: 'succeeded' }])
    expect(client.getQueryState(['images'])?.isInvalidated).toBe(true)
  })
})
