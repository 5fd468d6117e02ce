import { expect, it } from '@jest/globals'
import { identityNamed, NODE_UIDS, nodeUidsIn, workerIdentity } from './identity.js'

const PASSWD = `root:x:0:0:root:/root:/bin/bash
sandlabx-old:x:900:900::/:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
sandlabx:x:998:997::/:/usr/sbin/nologin
toor:x:0:0::/root:/bin/sh
`

it('finds a user by its whole name', () => {
  expect(identityNamed(PASSWD, 'sandlabx')).toEqual({ uid: 998, gid: 997 })
  expect(identityNamed(PASSWD, 'nobody')).toEqual({ uid: 65_534, gid: 65_534 })
  expect(identityNamed(PASSWD, 'sandlab')).toBeUndefined()
})

it('never makes a worker of a user that is root', () => {
  expect(identityNamed(PASSWD, 'toor')).toBeUndefined()
})

it('gives children an identity only when the backend is root', () => {
  const identity = workerIdentity()
  if (process.getuid?.() === 0) expect(identity?.uid).toBeGreaterThan(0)
  else expect(identity).toBeUndefined()
})

it('has 65,536 users for nodes, where nobody else has any', () => {
  expect(nodeUidsIn('         0          0 4294967295\n')).toEqual(NODE_UIDS)
})

it('takes the upper half of the users that a container has, below those of systemd', () => {
  expect(nodeUidsIn('         0     100000      65536\n')).toEqual({ first: 30_000, count: 30_000 })
  expect(nodeUidsIn('0 1000 1\n1 100000 65536\n')).toEqual({ first: 30_000, count: 30_000 })
})

it('has none where there are too few, as for a root that is root for itself alone', () => {
  expect(nodeUidsIn('         0       1000          1\n')).toBeUndefined()
  expect(nodeUidsIn('')).toBeUndefined()
})
