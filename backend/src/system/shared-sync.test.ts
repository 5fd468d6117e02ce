import { expect, it } from '@jest/globals'
import { shareSync } from './shared-sync.js'

/** A sync that ends when it is told to. */
function held() {
  const begun: { path: string; end(error?: Error): void }[] = []
  const sync = shareSync(
    (path) =>
      new Promise((resolve, reject) => begun.push({ path, end: (error) => (error ? reject(error) : resolve()) })),
  )
  return { begun, sync }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))

it('begins anew for those who ask while one is under way, once for all of them', async () => {
  const { begun, sync } = held()
  const first = sync('a')
  const others = [sync('a'), sync('a'), sync('a')]
  expect(begun).toHaveLength(1)
  begun[0]?.end()
  await first
  await settled()
  expect(begun).toHaveLength(2)
  let done = false
  const all = Promise.all(others).then(() => (done = true))
  const late = sync('a') // the second one is under way already
  begun[1]?.end()
  await all
  expect(done).toBe(true)
  await settled()
  expect(begun).toHaveLength(3)
  begun[2]?.end()
  await late
})

it('fails those who share it, and nobody after them', async () => {
  const { begun, sync } = held()
  const first = sync('a')
  const [second, third] = [sync('a'), sync('a')]
  begun[0]?.end(new Error('EIO'))
  await expect(first).rejects.toThrow('EIO')
  await settled()
  begun[1]?.end(new Error('ENOSPC'))
  await expect(second).rejects.toThrow('ENOSPC')
  await expect(third).rejects.toThrow('ENOSPC')
  const again = sync('a')
  begun[2]?.end()
  await again
})

it('keeps folders apart', async () => {
  const { begun, sync } = held()
  const both = [sync('a'), sync('b')]
  expect(begun.map(({ path }) => path)).toEqual(['a', 'b'])
  for (const one of begun) one.end()
  await Promise.all(both)
})
