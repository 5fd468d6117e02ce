import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { createHash } from 'node:crypto'
import type { UserId } from '../../src/domain/ids.js'
import { createLog } from '../../src/system/log.js'
import { createAccounts, type Accounts } from '../../src/users/accounts.js'
import { openDatabase, type Database } from '../../src/users/database.js'
import type { Revocation } from '../../src/users/revocations.js'
import { ABSOLUTE_MS, IDLE_MS, MAX_SESSIONS_PER_USER } from '../../src/users/session-limits.js'
import { createSessions, type Sessions } from '../../src/users/sessions.js'
import { createTokens, MAX_TOKENS_PER_USER, type Tokens } from '../../src/users/tokens.js'
import { startTestPostgres, type TestPostgres } from '../support/postgres.js'

jest.setTimeout(60_000) // real servers, on a machine that may be busy

const PASSWORD = 'correct horse battery'
const START = Date.parse('2026-11-21T08:00:00Z')

let server: TestPostgres
let database: Database
let accounts: Accounts
let sessions: Sessions
let tokens: Tokens
let clockMs = START
let ada: UserId

beforeAll(async () => {
  server = await startTestPostgres()
  database = openDatabase(server.connection, createLog('silent'))
  const now = () => new Date(clockMs)
  accounts = createAccounts(database, { now })
  sessions = createSessions(database, { now })
  tokens = createTokens(database, { now })
})
afterAll(async () => {
  sessions.close()
  await database.close()
  await server.stop()
})
beforeEach(async () => {
  clockMs = START
  await database.sql.deleteFrom('users').execute()
  const input = { login: 'ada', displayName: 'Ada', role: 'student', password: PASSWORD } as const
  ada = (await accounts.create(input, { mustChangePassword: false })).user.id
})

const signIn = (more: { login?: string; password?: string; replaces?: string; userAgent?: string } = {}) =>
  sessions.signIn({ login: 'ada', password: PASSWORD, address: '192.0.2.1', userAgent: 'Firefox', ...more })

describe('a session', () => {
  it('is opened with the right password and names who is asking', async () => {
    const { cookieValue, subject } = await signIn()
    expect(subject).toEqual({
      userId: ada,
      login: 'ada',
      role: 'student',
      credentialId: expect.any(String),
      kind: 'session',
      mustChangePassword: false,
    })
    expect(await sessions.resolveCookie(cookieValue)).toEqual(subject)
    expect((await accounts.get(ada)).lastSignInAt).toBe(new Date(START).toISOString())
    expect(await sessions.list(ada)).toEqual([
      {
        id: subject.credentialId,
        createdAt: new Date(START).toISOString(),
        lastSeenAt: new Date(START).toISOString(),
        expiresAt: new Date(START + ABSOLUTE_MS).toISOString(),
        userAgent: 'Firefox',
        address: '192.0.2.1',
      },
    ])
  })

  it('takes the login as people type it', async () => {
    await expect(signIn({ login: ' Ada ' })).resolves.toBeDefined()
  })

  it('is refused in the same words for a wrong password, an absent login, and what can be no login', async () => {
    const refusals: unknown[] = []
    for (const attempt of [
      { password: 'wrong' },
      { login: 'nobody' },
      { login: 'a\0da' },
      { login: "ada' or '1'='1" },
      { login: 'x'.repeat(10_000) },
    ]) {
      refusals.push(
        await signIn(attempt).catch(({ code, message }: { code: string; message: string }) => ({ code, message })),
      )
    }
    expect(new Set(refusals.map((one) => JSON.stringify(one))).size).toBe(1)
    expect(refusals[0]).toMatchObject({ code: 'bad_credentials' })
  })

  it('has 256 random bits in its cookie and only their SHA-256 in the database', async () => {
    const [one, other] = await Promise.all([signIn(), signIn()])
    expect(Buffer.from(one.cookieValue, 'base64url')).toHaveLength(32)
    expect(one.cookieValue).not.toBe(other.cookieValue)
    const rows = await database.sql.selectFrom('sessions').selectAll().execute()
    expect(rows.map((row) => row.secret_hash.toString('hex'))).toContain(
      createHash('sha256').update(one.cookieValue).digest('hex'),
    )
    expect(JSON.stringify(rows)).not.toContain(one.cookieValue)
  })

  it('is nobody for any other value', async () => {
    const { cookieValue } = await signIn()
    const flipped = `${cookieValue.slice(0, -2)}${cookieValue.endsWith('AA') ? 'BB' : 'AA'}`
    for (const value of ['', flipped, `${cookieValue}x`, '\0', 'x'.repeat(100_000), "' or true --"]) {
      expect(await sessions.resolveCookie(value)).toBeNull()
    }
  })

  it('ends after twelve hours without a request, and goes on with one', async () => {
    const { cookieValue } = await signIn()
    for (let hours = 0; hours < 5; hours += 1) {
      clockMs += IDLE_MS - 1000
      expect(await sessions.resolveCookie(cookieValue)).not.toBeNull()
    }
    clockMs += IDLE_MS
    expect(await sessions.resolveCookie(cookieValue)).toBeNull()
  })

  it('ends after seven days whatever happens', async () => {
    const { cookieValue } = await signIn()
    const end = START + ABSOLUTE_MS
    for (clockMs = START; clockMs < end; clockMs += 6 * 3_600_000) {
      expect(await sessions.resolveCookie(cookieValue)).not.toBeNull()
    }
    clockMs = end
    expect(await sessions.resolveCookie(cookieValue)).toBeNull()
  })

  it('does not live longer when the clock is set back', async () => {
    const { cookieValue } = await signIn()
    clockMs = START - 365 * 24 * 3_600_000
    expect(await sessions.resolveCookie(cookieValue)).toBeNull()
    clockMs = START - 60_000 // what time servers correct
    expect(await sessions.resolveCookie(cookieValue)).not.toBeNull()
  })

  it('ends at sign-out, tells the listeners before that returns, and stays ended', async () => {
    const { cookieValue, subject } = await signIn()
    const other = await signIn()
    const seen: Revocation[] = []
    const stop = sessions.onRevoked((one) => seen.push(one))
    await sessions.signOut(subject.credentialId)
    expect(seen).toEqual([{ credentialId: subject.credentialId }])
    expect(await sessions.resolveCookie(cookieValue)).toBeNull()
    expect(await sessions.resolveCookie(other.cookieValue)).not.toBeNull()
    await sessions.signOut(subject.credentialId)
    await sessions.signOut('local')
    expect(seen).toHaveLength(1)
    stop()
    await sessions.signOut(other.subject.credentialId)
    expect(seen).toHaveLength(1)
  })

  it('does not continue the one that the browser came with', async () => {
    const old = await signIn()
    const seen: Revocation[] = []
    const stop = sessions.onRevoked((one) => seen.push(one))
    const fresh = await signIn({ replaces: old.cookieValue })
    stop()
    expect(fresh.cookieValue).not.toBe(old.cookieValue)
    expect(await sessions.resolveCookie(old.cookieValue)).toBeNull()
    expect(await sessions.resolveCookie(fresh.cookieValue)).not.toBeNull()
    expect(seen).toEqual([{ credentialId: old.subject.credentialId }])
    await expect(signIn({ replaces: 'rubbish\0' })).resolves.toBeDefined()
  })

  it('stays when a sign-in with its cookie fails', async () => {
    const old = await signIn()
    await expect(signIn({ replaces: old.cookieValue, password: 'wrong' })).rejects.toThrow()
    expect(await sessions.resolveCookie(old.cookieValue)).not.toBeNull()
  })

  it('ends with all others of its user, but the one to keep', async () => {
    const [keep, other] = await Promise.all([signIn(), signIn()])
    await sessions.revokeAllOf(ada, keep.subject.credentialId)
    expect(await sessions.resolveCookie(keep.cookieValue)).not.toBeNull()
    expect(await sessions.resolveCookie(other.cookieValue)).toBeNull()
    await sessions.revokeAllOf(ada)
    expect(await sessions.resolveCookie(keep.cookieValue)).toBeNull()
  })

  it('ends, oldest first, when its user opens very many', async () => {
    const opened: string[] = []
    for (let count = 0; count < MAX_SESSIONS_PER_USER + 2; count += 1) {
      clockMs += 1000
      opened.push((await signIn()).cookieValue)
    }
    expect(await sessions.list(ada)).toHaveLength(MAX_SESSIONS_PER_USER)
    const alive = await Promise.all(opened.map(async (value) => (await sessions.resolveCookie(value)) !== null))
    expect(alive.slice(0, 3)).toEqual([false, false, true])
    expect(alive.at(-1)).toBe(true)
  })

  it('that is too old is swept away, and what it opened is closed', async () => {
    const old = await signIn()
    clockMs += IDLE_MS - 1000
    const young = await signIn()
    clockMs += 1000
    const seen: Revocation[] = []
    const stop = sessions.onRevoked((one) => seen.push(one))
    await sessions.sweep()
    stop()
    expect(seen).toEqual([{ credentialId: old.subject.credentialId }])
    expect((await sessions.list(ada)).map(({ id }) => id)).toEqual([young.subject.credentialId])
  })

  it('of a disabled account is dead within a second, and its listener was told', async () => {
    const { cookieValue } = await signIn()
    let toldAt = 0
    const stop = sessions.onRevoked(() => (toldAt = performance.now()))
    const beganAt = performance.now()
    await accounts.update(ada, { disabled: true })
    expect(await sessions.resolveCookie(cookieValue)).toBeNull()
    expect(performance.now() - beganAt).toBeLessThan(5000)
    expect(toldAt - beganAt).toBeGreaterThan(0)
    stop()
  })

  it('tells every listener, also when one of them fails', async () => {
    const { subject } = await signIn()
    let told = 0
    const stops = [
      sessions.onRevoked(() => {
        throw new Error('a defect elsewhere')
      }),
      sessions.onRevoked(() => (told += 1)),
    ]
    await sessions.signOut(subject.credentialId)
    expect(told).toBe(1)
    for (const stop of stops) stop()
  })
})

describe('an API token', () => {
  it('is shown once, kept as a hash, and names who is asking', async () => {
    const { token, record } = await tokens.create({ userId: ada, name: ' laptop ' })
    expect(token).toMatch(/^sbx_[\w-]{43}$/)
    expect(record).toEqual({
      id: expect.any(String),
      name: 'laptop',
      createdAt: new Date(START).toISOString(),
      lastUsedAt: null,
    })
    expect(await tokens.resolve(token)).toEqual({
      userId: ada,
      login: 'ada',
      role: 'student',
      credentialId: record.id,
      kind: 'token',
      mustChangePassword: false,
    })
    const rows = await database.sql.selectFrom('tokens').selectAll().execute()
    expect(JSON.stringify(rows)).not.toContain(token)
    expect(await tokens.list(ada)).toEqual([{ ...record, lastUsedAt: new Date(START).toISOString() }])
  })

  it('is nobody for any other text', async () => {
    const { token } = await tokens.create({ userId: ada, name: 'laptop' })
    for (const text of [
      '',
      'sbx_',
      token.slice(4),
      `${token}x`,
      `sbx_${'A'.repeat(43)}`,
      `sbx_local_${'A'.repeat(43)}`,
      '\0',
    ]) {
      expect(await tokens.resolve(text)).toBeNull()
    }
  })

  it('is revoked by its owner alone, at once, and its listener is told', async () => {
    const { token, record } = await tokens.create({ userId: ada, name: 'laptop' })
    const bob = await accounts.create({ login: 'bob', displayName: '', role: 'administrator' })
    await expect(tokens.revoke(record.id, bob.user.id)).rejects.toMatchObject({ code: 'not_found' })
    await expect(tokens.revoke('no-uuid', ada)).rejects.toMatchObject({ code: 'not_found' })
    expect(await tokens.resolve(token)).not.toBeNull()
    const seen: Revocation[] = []
    const stop = sessions.onRevoked((one) => seen.push(one))
    await tokens.revoke(record.id, ada)
    stop()
    expect(seen).toEqual([{ credentialId: record.id }])
    expect(await tokens.resolve(token)).toBeNull()
    await expect(tokens.revoke(record.id, ada)).rejects.toMatchObject({ code: 'not_found' })
  })

  it('has a name of its own and there are at most twenty, also when they are asked for at once', async () => {
    await tokens.create({ userId: ada, name: 'laptop' })
    await expect(tokens.create({ userId: ada, name: 'laptop' })).rejects.toMatchObject({ code: 'name_taken' })
    await expect(tokens.create({ userId: ada, name: 'a\nb' })).rejects.toMatchObject({ code: 'bad_request' })
    const results = await Promise.allSettled(
      Array.from({ length: MAX_TOKENS_PER_USER + 5 }, (_, index) => tokens.create({ userId: ada, name: `t${index}` })),
    )
    for (const one of results)
      if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'quota_reached' })
    expect(await tokens.list(ada)).toHaveLength(MAX_TOKENS_PER_USER)
  })
})
