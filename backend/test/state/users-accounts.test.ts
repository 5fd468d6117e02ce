import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { readdir, readFile, stat } from 'node:fs/promises'
import type { UserId } from '../../src/domain/ids.js'
import { firstLoginFile, layoutOf } from '../../src/domain/layout.js'
import type { CreateUser, Role } from '../../src/domain/user.js'
import { createLog } from '../../src/system/log.js'
import { createAccounts, type Accounts } from '../../src/users/accounts.js'
import { openDatabase, type Database } from '../../src/users/database.js'
import type { Revocation } from '../../src/users/revocations.js'
import { createSessions, type Sessions } from '../../src/users/sessions.js'
import { createTokens, type Tokens } from '../../src/users/tokens.js'
import { startTestPostgres, type TestPostgres } from '../support/postgres.js'

jest.setTimeout(60_000) // real servers, on a machine that may be busy

const PASSWORD = 'correct horse battery'
const from = { address: '192.0.2.1', userAgent: 'test' }

let server: TestPostgres
let database: Database
let accounts: Accounts
let sessions: Sessions
let tokens: Tokens

beforeAll(async () => {
  server = await startTestPostgres()
  database = openDatabase(server.connection, createLog('silent'))
  accounts = createAccounts(database, { layout: server.layout })
  sessions = createSessions(database)
  tokens = createTokens(database)
})
afterAll(async () => {
  sessions.close()
  await database.close()
  await server.stop()
})
beforeEach(async () => {
  await database.sql.deleteFrom('users').execute()
})

async function make(login: string, role: Role = 'student'): Promise<UserId> {
  const input: CreateUser = { login, displayName: '', role, password: PASSWORD }
  return (await accounts.create(input, { mustChangePassword: false })).user.id
}

const signIn = (login: string, password = PASSWORD) => sessions.signIn({ login, password, ...from })

function recordRevocations(): { seen: Revocation[]; stop: () => void } {
  const seen: Revocation[] = []
  return { seen, stop: sessions.onRevoked((one) => seen.push(one)) }
}

describe('the first administrator', () => {
  it('is made once on an empty database, with a readable password in a file for us alone', async () => {
    const first = await accounts.ensureFirstAdministrator()
    expect(first).toEqual({ login: 'admin', password: expect.stringMatching(/^(\w{4}-){3}\w{4}$/) })
    const file = firstLoginFile(server.layout)
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual(first)
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect(await accounts.ensureFirstAdministrator()).toBeNull()
    const { subject } = await signIn('admin', first?.password)
    expect(subject).toMatchObject({ role: 'administrator', mustChangePassword: true })
  })

  it('is one, when two backends start at once on one empty database', async () => {
    for (let round = 0; round < 20; round += 1) {
      const made = await Promise.all(Array.from({ length: 4 }, () => accounts.ensureFirstAdministrator()))
      expect(made.filter(Boolean)).toHaveLength(1)
      expect(await accounts.list()).toHaveLength(1)
      expect(JSON.parse(await readFile(firstLoginFile(server.layout), 'utf8'))).toEqual(made.find(Boolean))
      await database.sql.deleteFrom('users').execute()
    }
  })

  it('is not made when its password can not be kept, and is made later', async () => {
    const nowhere = layoutOf('/proc/no-such-folder')
    await expect(createAccounts(database, { layout: nowhere }).ensureFirstAdministrator()).rejects.toThrow()
    expect(await accounts.list()).toEqual([])
    expect(await accounts.ensureFirstAdministrator()).not.toBeNull()
  })

  it('loses the file when its password is changed, and only then', async () => {
    await accounts.ensureFirstAdministrator()
    const kept = async () => (await readdir(server.layout.state)).includes('first-login')
    const other = await make('grace')
    await accounts.setPassword(other, 'a new one for grace', { mustChange: false, keepCredentialId: null })
    expect(await kept()).toBe(true)
    const admin = await accounts.findByLogin('admin')
    if (!admin) throw new Error('no admin')
    const changed = await accounts.setPassword(admin.id, 'chosen by a person', {
      mustChange: false,
      keepCredentialId: null,
    })
    expect(changed.mustChangePassword).toBe(false)
    expect(await kept()).toBe(false)
  })
})

describe('accounts', () => {
  it('are made with a generated password that must be changed, or with a given one', async () => {
    const generated = await accounts.create({ login: 'ada', displayName: 'Ada Lovelace', role: 'student' })
    expect(generated.password).toMatch(/^(\w{4}-){3}\w{4}$/)
    expect(generated.user).toMatchObject({
      login: 'ada',
      mustChangePassword: true,
      disabled: false,
      lastSignInAt: null,
    })
    expect(await accounts.get(generated.user.id)).toEqual(generated.user)
    await expect(signIn('ada', generated.password ?? '')).resolves.toMatchObject({
      subject: { mustChangePassword: true },
    })
    const given = await accounts.create({ login: 'bob', displayName: '', role: 'instructor', password: PASSWORD })
    expect(given).toMatchObject({ password: null, user: { mustChangePassword: true } })
    expect((await accounts.list()).map(({ login }) => login)).toEqual(['ada', 'bob'])
  })

  it('keep no password, only its argon2id hash', async () => {
    const id = await make('ada')
    const row = await database.sql.selectFrom('users').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
    expect(row.password_hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    expect(JSON.stringify(await accounts.list())).not.toContain('argon2')
  })

  it('have logins of their own, also when ten are made at once', async () => {
    const made = await Promise.allSettled(Array.from({ length: 10 }, () => make('ada')))
    expect(made.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const one of made) if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'name_taken' })
  })

  it('refuse weak passwords and names with control characters', async () => {
    const ada = { login: 'ada', displayName: '', role: 'student' } as const
    await expect(accounts.create({ ...ada, password: 'password123' })).rejects.toMatchObject({ code: 'weak_password' })
    for (const displayName of ['a\0b', 'a\nb', 'a\u{202e}b', '\u{1b}[31m']) {
      await expect(accounts.create({ ...ada, displayName })).rejects.toMatchObject({ code: 'bad_request' })
    }
    const id = await make('ada')
    await expect(accounts.update(id, { displayName: 'a\0b' })).rejects.toMatchObject({ code: 'bad_request' })
    await expect(
      accounts.setPassword(id, 'short', { mustChange: false, keepCredentialId: null }),
    ).rejects.toMatchObject({ code: 'weak_password' })
    expect(await accounts.list()).toHaveLength(1)
  })

  it('that are absent answer not_found, whatever the id looks like', async () => {
    for (const id of ['0b0e9a8e-0000-4000-8000-000000000000', 'nobody', "' or 1=1", '\0']) {
      const absent = id as UserId // what a caller without a schema might pass
      await expect(accounts.get(absent)).rejects.toMatchObject({ code: 'not_found' })
      await expect(accounts.update(absent, { disabled: true })).rejects.toMatchObject({ code: 'not_found' })
      await expect(accounts.resetPassword(absent)).rejects.toMatchObject({ code: 'not_found' })
    }
    expect(await accounts.findByLogin('a\0da')).toBeUndefined()
  })

  it('change only what was asked for', async () => {
    const id = await make('ada')
    const before = await accounts.get(id)
    expect(await accounts.update(id, { displayName: 'Ada' })).toEqual({ ...before, displayName: 'Ada' })
    expect(await accounts.update(id, { role: 'instructor' })).toMatchObject({ displayName: 'Ada', role: 'instructor' })
    expect(await accounts.update(id, {})).toMatchObject({ displayName: 'Ada', role: 'instructor', disabled: false })
  })
})

describe('the last administrator', () => {
  it('can be neither demoted nor disabled, and anything else can be changed', async () => {
    const id = await make('root', 'administrator')
    await make('sleeping', 'administrator').then((other) => accounts.update(other, { disabled: true }))
    await expect(accounts.update(id, { role: 'student' })).rejects.toMatchObject({ code: 'last_administrator' })
    await expect(accounts.update(id, { disabled: true })).rejects.toMatchObject({ code: 'last_administrator' })
    expect(await accounts.update(id, { displayName: 'Boss', role: 'administrator' })).toMatchObject({
      displayName: 'Boss',
    })
  })

  it('stays when the last two are demoted or disabled at the same moment, in each of many tries', async () => {
    for (let round = 0; round < 25; round += 1) {
      const pair = await Promise.all([make(`a${round}`, 'administrator'), make(`b${round}`, 'administrator')])
      const changes = [{ role: 'student' }, { disabled: true }] as const
      const results = await Promise.allSettled(
        pair.map((id, index) => accounts.update(id, changes[(index + round) % 2] ?? {})),
      )
      expect(results.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
      for (const one of results)
        if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'last_administrator' })
      await database.sql.deleteFrom('users').execute()
    }
  })

  it('does not stop another administrator from going', async () => {
    const first = await make('first', 'administrator')
    const second = await make('second', 'administrator')
    await accounts.update(first, { role: 'instructor' })
    await expect(accounts.update(second, { disabled: true })).rejects.toMatchObject({ code: 'last_administrator' })
    await accounts.update(first, { role: 'administrator' })
    await accounts.update(second, { disabled: true })
  })
})

describe('what a change of an account ends', () => {
  it('disabled: sessions and tokens, at once, for good', async () => {
    const id = await make('ada')
    const { cookieValue } = await signIn('ada')
    const { token } = await tokens.create({ userId: id, name: 'cli' })
    const revocations = recordRevocations()
    await accounts.update(id, { disabled: true })
    expect(revocations.seen).toContainEqual({ userId: id })
    expect(await sessions.resolveCookie(cookieValue)).toBeNull()
    expect(await tokens.resolve(token)).toBeNull()
    await expect(signIn('ada')).rejects.toMatchObject({ code: 'account_disabled' })
    await expect(signIn('ada', 'wrong')).rejects.toMatchObject({ code: 'bad_credentials' })
    await expect(tokens.create({ userId: id, name: 'late' })).rejects.toMatchObject({ code: 'not_found' })
    await accounts.update(id, { disabled: false })
    expect(await sessions.resolveCookie(cookieValue)).toBeNull()
    expect(await tokens.resolve(token)).toBeNull()
    await expect(signIn('ada')).resolves.toBeDefined()
    revocations.stop()
  })

  it('another role: sessions; tokens go on with the new role; the same role: nothing', async () => {
    const id = await make('ada', 'instructor')
    const first = await signIn('ada')
    const { token } = await tokens.create({ userId: id, name: 'cli' })
    const revocations = recordRevocations()
    await accounts.update(id, { role: 'instructor', displayName: 'A' })
    expect(revocations.seen).toEqual([])
    expect(await sessions.resolveCookie(first.cookieValue)).not.toBeNull()
    await accounts.update(id, { role: 'student' })
    expect(revocations.seen).toEqual([{ userId: id }])
    expect(await sessions.resolveCookie(first.cookieValue)).toBeNull()
    expect(await tokens.resolve(token)).toMatchObject({ role: 'student' })
    revocations.stop()
  })

  it('an own new password: every session and token but the one that changed it', async () => {
    const id = await make('ada')
    const mine = await signIn('ada')
    const other = await signIn('ada')
    const made = await tokens.create({ userId: id, name: 'cli' })
    const revocations = recordRevocations()
    await accounts.setPassword(id, 'a new passphrase here', {
      mustChange: false,
      keepCredentialId: mine.subject.credentialId,
    })
    expect(revocations.seen.toSorted(byCredential)).toEqual(
      [{ credentialId: other.subject.credentialId }, { credentialId: made.record.id }].toSorted(byCredential),
    )
    expect(await sessions.resolveCookie(mine.cookieValue)).not.toBeNull()
    expect(await sessions.resolveCookie(other.cookieValue)).toBeNull()
    expect(await tokens.resolve(made.token)).toBeNull()
    await expect(signIn('ada')).rejects.toMatchObject({ code: 'bad_credentials' })
    await expect(signIn('ada', 'a new passphrase here')).resolves.toBeDefined()
    revocations.stop()
  })

  it('a reset password: everything; the new one must be changed', async () => {
    const id = await make('ada')
    const session = await signIn('ada')
    const made = await tokens.create({ userId: id, name: 'cli' })
    const { user, password } = await accounts.resetPassword(id)
    expect(user.mustChangePassword).toBe(true)
    expect(await sessions.resolveCookie(session.cookieValue)).toBeNull()
    expect(await tokens.resolve(made.token)).toBeNull()
    await expect(signIn('ada', password)).resolves.toMatchObject({ subject: { mustChangePassword: true } })
  })

  it('also a session that is being opened with the old password at that moment', async () => {
    const id = await make('ada')
    for (let round = 0; round < 10; round += 1) {
      const reset = accounts.resetPassword(id)
      const attempts = await Promise.allSettled(Array.from({ length: 4 }, () => signIn('ada')))
      const { password } = await reset
      for (const attempt of attempts) {
        if (attempt.status === 'fulfilled') expect(await sessions.resolveCookie(attempt.value.cookieValue)).toBeNull()
        else expect(attempt.reason).toMatchObject({ code: 'bad_credentials' })
      }
      await accounts.setPassword(id, PASSWORD, { mustChange: false, keepCredentialId: null })
      expect(password).not.toBe(PASSWORD)
    }
  })
})

function byCredential(a: Revocation, b: Revocation): number {
  return (a.credentialId ?? '').localeCompare(b.credentialId ?? '')
}
