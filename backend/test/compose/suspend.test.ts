import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { untilImages } from './belongings.js'
import { untilSeen } from '../support/until.js'
import { openSerial } from './serial-bridge.js'
import { openStack, requireEngine, type Stack } from './stack.js'

jest.setTimeout(300_000)

let stack: Stack

beforeAll(async () => {
  await requireEngine()
  stack = await openStack()
  await stack.open()
  await untilImages(stack)
}, 900_000)
afterAll(() => stack?.remove(), 300_000)

const COUNTER = 'i=0; while :; do i=$((i+1)); echo "counted $i"; sleep 0.2; done'

describe('what runs when Compose ends', () => {
  it("goes on at the same place: a counter in a guest's shell counts on after down and up", async () => {
    const { send } = await stack.administrator()
    const guest = { guestUser: 'student', guestPassword: 'counting sheep' }
    const made = await send('POST', '/api/nodes', { name: 'counter', image: 'tiny', start: true, ...guest })
    expect(made.status).toBe(201)
    const { id } = made.body.node
    const line = await openSerial(stack, id)
    await line.signIn(guest.guestUser, guest.guestPassword)
    line.type(`${COUNTER}\r`)
    await line.waitFor(/counted 10\n/)
    line.close()

    await stack.compose('down')
    await stack.up()

    await untilRunsAgain(id)
    const resumed = await openSerial(stack, id)
    const text = await resumed.waitFor(/counted \d+\n(.*\n)*counted \d+\n/)
    const [first, second] = [...text.matchAll(/counted (\d+)/g)].map(([, count]) => Number(count))
    resumed.close()
    expect(first).toBeGreaterThan(10) // from the beginning it would be 1, after a login prompt
    expect(second).toBe((first ?? 0) + 1)
    expect(text).not.toContain('login:')
  })

  it('an SSH session that was open does not stand in its way, and the same boot is reached again', async () => {
    const { send } = await stack.administrator()
    const made = await send('POST', '/api/nodes', { name: 'server', image: 'debian-12', start: true })
    expect(made.status).toBe(201)
    const { id } = made.body.node
    const serial = await openSerial(stack, id)
    await serial.waitFor(/login: /, 240_000).finally(() => serial.close())
    const boot = await bootIdOverSsh(id)
    const open = await openSerial(stack, id, 'ssh')
    try {
      await open.waitFor(/\$ $/)
      await stack.compose('down')
    } finally {
      open.close()
    }
    await stack.up()
    await untilRunsAgain(id)
    expect(await bootIdOverSsh(id)).toBe(boot)
  })
})

/** SandLabX answers first, and brings back what ran meanwhile. */
async function untilRunsAgain(id: string): Promise<void> {
  const { send } = await stack.administrator()
  const runs = async () => (await send('GET', `/api/nodes/${id}`)).body.node.status === 'running'
  await untilSeen('the node runs again', runs, 120_000)
}

/** By the lab's own key. */
async function bootIdOverSsh(id: string): Promise<string> {
  const line = await openSerial(stack, id, 'ssh')
  try {
    await line.waitFor(/\$ $/, 120_000)
    return await line.run('cat /proc/sys/kernel/random/boot_id')
  } finally {
    line.close()
  }
}
