import { describe, expect, it } from '@jest/globals'
import { databaseFailure } from './database-failure.js'

const withCode = (code: string) => Object.assign(new Error(`failure ${code}`), { code })

describe('a failure of the database', () => {
  it.each(['ECONNREFUSED', 'ENOENT', 'EPIPE', '57P01', '57P03', '53300', '08006', '58030', '57014'])(
    'with %s means that it is away',
    (code) => {
      expect(databaseFailure(withCode(code), 'query')).toMatchObject({ code: 'database_down', cause: { code } })
    },
  )

  it.each(['Connection terminated unexpectedly', 'Query read timeout', 'timeout exceeded when trying to connect'])(
    'named "%s" means that it is away',
    (message) => {
      expect(databaseFailure(new Error(message), 'query')).toMatchObject({ code: 'database_down' })
    },
  )

  it('is a full disk with 53100', () => {
    expect(databaseFailure(withCode('53100'), 'query')).toMatchObject({ code: 'no_space' })
  })

  it('points at DATABASE_URL when we are refused at the door, and only there', () => {
    expect(databaseFailure(withCode('28P01'), 'connect')).toMatchObject({
      code: 'database_down',
      hint: expect.stringContaining('DATABASE_URL'),
    })
    const inside = withCode('42501')
    expect(databaseFailure(inside, 'query')).toBe(inside)
  })

  it('stays what it is when it is about the query', () => {
    for (const code of ['23505', '22P02', '42P01']) {
      const error = withCode(code)
      expect(databaseFailure(error, 'query')).toBe(error)
    }
  })
})
