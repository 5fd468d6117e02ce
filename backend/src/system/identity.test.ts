import { expect, it } from '@jest/globals'
import { identityNamed, workerIdentity } from './identity.js'

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
