import { expect, it } from '@jest/globals'
import { MIGRATIONS, migrate, type Migration } from './migrations.js'
import { STATE_SCHEMA } from '../domain/state.js'

const steps: Migration[] = [
  { from: 1, title: 'two', apply: (data) => ({ ...Object(data), two: true }) },
  { from: 2, title: 'three', apply: (data) => ({ ...Object(data), three: true }) },
]

it('applies each step from the schema that it finds', () => {
  expect(migrate({}, 1, 3, steps)).toEqual({ two: true, three: true })
  expect(migrate({}, 2, 3, steps)).toEqual({ three: true })
  expect(migrate({}, 3, 3, steps)).toEqual({})
})

it('says which step is missing', () => {
  expect(() => migrate({}, 0, 3, steps)).toThrow('there is no way from schema 0 to 1')
})

it('has a released step for every schema after the first', () => {
  expect(MIGRATIONS.map((migration) => migration.from)).toEqual(
    Array.from({ length: STATE_SCHEMA - 1 }, (_, index) => index + 1),
  )
})
