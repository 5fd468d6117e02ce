import { describe, expect, it } from '@jest/globals'
import { withoutBasePath } from './base-path.js'

describe('a base path', () => {
  it.each([
    ['/lab/api/nodes?x=/lab', '/api/nodes?x=/lab'],
    ['/lab/', '/'],
    ['/lab', '/'],
    ['/lab?next=1', '/?next=1'],
    ['/api/nodes', '/api/nodes'],
    ['/laboratory', '/laboratory'],
    ['*', '*'],
  ])('is taken off %s', (url, left) => expect(withoutBasePath(url, '/lab')).toBe(left))
})
