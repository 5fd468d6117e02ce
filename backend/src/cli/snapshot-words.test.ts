import { describe, expect, it } from '@jest/globals'
import { snapshotVerbFirst } from './snapshot-words.js'

describe('the words of sandlabx snapshot', () => {
  it.each([
    ['snapshot web create monday', 'snapshot create web monday'],
    ['snapshot web create root monday --note x', 'snapshot create web root monday --note x'],
    ['--json snapshot web ls', '--json snapshot ls web'],
    ['--url http://lab snapshot web ls', '--url http://lab snapshot ls web'],
    ['snapshot --json web ls', 'snapshot --json ls web'],
    ['snapshot web', 'snapshot ls web'],
    ['snapshot web crete monday', 'snapshot crete web monday'],
    ['snapshot ls ls', 'snapshot ls ls'],
  ])('puts the verb of "%s" before the node', (said, meant) => {
    expect(snapshotVerbFirst(said.split(' ')).join(' ')).toBe(meant)
  })

  it.each([
    'snapshot create web monday',
    'snapshot ls web',
    'snapshot --help',
    'snapshot',
    'snapshot help create',
    'snapshot create --help',
    'clone snapshot ls',
    'ls',
  ])('leaves "%s" as it is', (said) => {
    expect(snapshotVerbFirst(said.split(' ')).join(' ')).toBe(said)
  })
})
