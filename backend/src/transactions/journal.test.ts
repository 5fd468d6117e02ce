import { afterEach, beforeEach, expect, it } from '@jest/globals'
import { mkdir, mkdtemp, readdir, rm, rmdir, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openJournal } from './journal.js'
import { newOperation } from './operation-record.js'

let folder: string
beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'journal-')), 'journal')
})
afterEach(() => rm(join(folder, '..'), { recursive: true }))

const operation = (title: string) =>
  newOperation(
    { kind: 'node.create', title, actor: { id: null, login: 'ada' }, target: null, cancellable: false },
    '2026-11-21T08:00:00.000Z',
  )

it('keeps an intent until it is removed, readable by its owner alone', async () => {
  const { journal } = await openJournal(folder)
  const file = await journal.write(operation('one'), { path: '/a' })
  expect((await stat(folder)).mode & 0o777).toBe(0o700)
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  const { found } = await openJournal(folder)
  expect(found.entries).toMatchObject([{ file, operation: { title: 'one' }, intent: { path: '/a' } }])
  await journal.remove(file)
  await journal.remove(file)
  expect((await openJournal(folder)).found).toEqual({ entries: [], unreadable: [] })
})

it('lists them in the order in which they began, also beyond the last process', async () => {
  const { journal } = await openJournal(folder)
  for (const title of ['one', 'two', 'three']) await journal.write(operation(title), null)
  const second = await openJournal(folder)
  await second.journal.write(operation('four'), null)
  const { found } = await openJournal(folder)
  expect(found.entries.map((entry) => entry.operation.title)).toEqual(['one', 'two', 'three', 'four'])
})

it('sets aside what it can not read and forgets what was never finished', async () => {
  const { journal } = await openJournal(folder)
  const file = await journal.write(operation('one'), null)
  await writeFile(file, '{"kind":"sandlabx-intent","schema":1')
  await writeFile(join(folder, '.000000000002-x.json.abc.tmp'), 'half')
  await writeFile(join(folder, 'notes.txt'), 'somebody else')
  const { found } = await openJournal(folder)
  expect(found).toMatchObject({ entries: [], unreadable: [{ file: `${file}.unreadable` }] })
  expect((await readdir(folder)).toSorted()).toEqual([`${file}.unreadable`.slice(folder.length + 1), 'notes.txt'])
})

it('begins nothing new while the intent of an operation that is over can not be removed', async () => {
  const { journal } = await openJournal(folder)
  const file = await journal.write(operation('one'), null)
  await rm(file)
  await mkdir(file) // what can't be removed as a file
  await expect(journal.remove(file)).rejects.toThrow()
  await expect(journal.write(operation('two'), null)).rejects.toThrow()
  expect((await readdir(folder)).length).toBe(1)
  await rmdir(file)
  await journal.write(operation('three'), null)
  const { found } = await openJournal(folder)
  expect(found.entries.map((entry) => entry.operation.title)).toEqual(['three'])
})
