import { describe, expect, it } from '@jest/globals'
import { cloneNodeSchema } from '@domain/node.js'
import { type CloneForm, cloneProblems, cloneRequest, nameProblem } from './clone-request.js'

const SAM = '22222222-2222-4222-8222-222222222222'
const LEA = '66666666-6666-4666-8666-666666666666'
const form = (change: Partial<CloneForm> = {}): CloneForm => ({
  name: 'web-08',
  count: 1,
  kind: 'linked',
  snapshot: '',
  ownerId: SAM,
  snapshotFirst: false,
  start: false,
  replace: false,
  elsewhere: false,
  url: '',
  token: '',
  ...change,
})

describe('what the clone dialog asks for', () => {
  it('is what the server takes', () => {
    const everything = form({
      count: 3,
      name: 'web-{nn}',
      kind: 'full',
      snapshot: 'start',
      snapshotFirst: true,
      start: true,
      replace: true,
      ownerId: LEA,
    })
    expect(cloneNodeSchema.parse(cloneRequest(everything, SAM))).toEqual({
      name: 'web-{nn}',
      count: 3,
      full: true,
      snapshot: 'start',
      snapshotFirst: true,
      start: true,
      force: true,
      idempotent: false,
      ownerId: LEA,
    })
  })

  it('leaves the owner and everything of here out when it goes elsewhere', () => {
    const there = form({ elsewhere: true, url: ' https://lab.example.org ', token: 't ', ownerId: LEA, kind: 'full' })
    expect(cloneRequest(there, SAM)).toEqual({ name: 'web-08', to: { url: 'https://lab.example.org', token: 't' } })
    expect(cloneProblems(there, SAM)).toEqual({})
  })

  it('is not sent with a bad address or without a token', () => {
    const problems = cloneProblems(form({ elsewhere: true, url: 'ftp://x' }), SAM)
    expect(Object.keys(problems).toSorted()).toEqual(['to.token', 'to.url'])
  })

  it('needs a number in the names of several, and names that nodes can have', () => {
    expect(nameProblem('web-08', 1)).toBeUndefined()
    expect(nameProblem('web', 2)).toMatch(/Needs \{n\}/)
    expect(nameProblem('web-{n}', 500)).toBeUndefined()
    expect(nameProblem('Web-{n}', 2)).toMatch(/lower-case letters/)
    expect(nameProblem(`${'w'.repeat(61)}-{n}`, 9)).toBeUndefined()
    expect(nameProblem(`${'w'.repeat(61)}-{n}`, 10)).toMatch(/at most 63/)
  })
})
