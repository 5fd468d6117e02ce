import { describe, expect, it } from '@jest/globals'
import { NODE_STATUSES } from '@domain/node.js'
import { sampleNode } from '../../test/samples.js'
import { chipOf, countByChip, filterNodes, sortNodes } from './node-filter.js'

const nodes = [
  sampleNode({ id: 'a', name: 'web-10', status: 'running', ownerLogin: 'sam' }),
  sampleNode({ id: 'b', name: 'web-9', status: 'stopped', ownerLogin: 'lea', ownerId: 'lea-id' }),
  sampleNode({ id: 'c', name: 'router', status: 'crashed', image: 'alpine', imageTitle: 'Alpine Linux' }),
]
const all = { text: '', chips: [], ownerId: undefined }
const names = (found: typeof nodes) => found.map((node) => node.name)

describe('the node list', () => {
  it('finds all words, in the name, the image, the owner or the status', () => {
    expect(names(filterNodes(nodes, { ...all, text: 'web lea' }))).toEqual(['web-9'])
    expect(names(filterNodes(nodes, { ...all, text: 'ALPINE' }))).toEqual(['router'])
    expect(names(filterNodes(nodes, { ...all, text: 'running' }))).toEqual(['web-10'])
    expect(filterNodes(nodes, { ...all, text: 'web alpine' })).toEqual([])
  })

  it('narrows by chips and owner together', () => {
    expect(names(filterNodes(nodes, { ...all, chips: ['running', 'attention'] }))).toEqual(['web-10', 'router'])
    expect(names(filterNodes(nodes, { ...all, ownerId: 'lea-id' }))).toEqual(['web-9'])
  })

  it('counts each node under exactly one chip', () => {
    expect(countByChip(nodes)).toEqual({ running: 1, stopped: 1, attention: 1 })
    for (const status of NODE_STATUSES) expect(['running', 'stopped', 'attention']).toContain(chipOf(status))
  })

  it('sorts numbers as numbers, and trouble first by status', () => {
    expect(names(sortNodes(nodes, 'name'))).toEqual(['router', 'web-9', 'web-10'])
    expect(names(sortNodes(nodes, 'status'))).toEqual(['router', 'web-10', 'web-9'])
  })
})
