import { createRequire } from 'node:module'
import { randomBytes } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { mintToken, TOKEN_CYPHER } from './token.js'

/** The library's own reader: what it can't read would open a console to nowhere. */
const { default: Crypt } = (await import(createRequire(import.meta.url).resolve('guacamole-lite/lib/Crypt.js'))) as {
  default: new (cypher: string, key: Buffer) => { decrypt(token: string): { connection: { settings: object } } }
}

describe('a token for guacamole-lite', () => {
  it('is read by it as it was meant, whatever letters a path has and however often it is made', () => {
    const key = randomBytes(32)
    for (let count = 0; count < 200; count += 1) {
      const path = `/run/sandlabx/guacd/${count} ü€𝄞"\\\n`
      const read = new Crypt(TOKEN_CYPHER, key).decrypt(mintToken(key, { path, readOnly: true, recorded: false }))
      expect(read.connection).toMatchObject({ type: 'vnc', settings: { hostname: path, 'read-only': 'true' } })
    }
  })

  it('says nothing to who has another key', () => {
    const token = mintToken(randomBytes(32), { path: '/run/guacd/a', readOnly: false, recorded: false })
    const read = () => new Crypt(TOKEN_CYPHER, randomBytes(32)).decrypt(token)
    expect(read).toThrow()
  })
})
