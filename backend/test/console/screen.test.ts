import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { CLOSE } from '../../src/domain/console.js'
import type { Subject } from '../../src/domain/user.js'
import type { ConsoleClient } from './console-client.js'
import { type ConsoleLab, startConsoleLab, type TestNode, until } from './console-lab.js'
import { RFB_VERSION, SERVER_HANDSHAKE, startVncServer, type VncServer } from './vnc-server.js'

const MIB = 1024 * 1024
const KEY = Buffer.from([4, 1, 0, 0, 0, 0, 0xff, 0x0d])
const CLICK = Buffer.from([5, 1, 0, 10, 0, 10])
const PASTE = Buffer.from([6, 0, 0, 0, 0, 0, 0, 3, 0x61, 0x62, 0x63])
const CTRL_ALT_DELETE = Buffer.concat(
  [0x1d, 0x38, 0xd3].map((code) => Buffer.from([255, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, code])),
)
const POWER_OFF = Buffer.from([250, 0, 1, 2])
const UPDATE = Buffer.from([3, 1, 0, 0, 0, 0, 2, 128, 1, 224])

jest.setTimeout(60_000) // a busy machine is slow, not wrong

describe('the screen console', () => {
  let lab: ConsoleLab
  let server: VncServer
  let node: TestNode
  let ann: Subject

  beforeEach(async () => {
    lab = await startConsoleLab()
    server = await startVncServer(`${lab.folder}/vnc`)
    node = lab.addNode({ targets: { screen: { via: 'unix', protocol: 'vnc', path: server.path } } })
    ann = lab.subject('ann')
  })
  afterEach(async () => {
    await lab.close()
    await server.close()
  })

  /** A viewer after its handshake. */
  async function opened(mode: 'control' | 'view'): Promise<ConsoleClient> {
    const client = await lab.open(ann, node, 'screen', mode)
    client.acknowledging = false
    await until(() => client.byteCount === RFB_VERSION.length, 'the server’s version')
    client.type(RFB_VERSION)
    client.type(Buffer.from([1]))
    client.type(Buffer.from([0])) // asks to be alone; the relay makes it share
    await until(() => client.byteCount === SERVER_HANDSHAKE.length, 'the server’s greeting')
    return client
  }

  it('relays the server’s bytes as they are, and tells who the viewer is beside them', async () => {
    const client = await opened('control')
    expect(client.bytes.equals(SERVER_HANDSHAKE)).toBe(true)
    expect(client.messages[0]).toMatchObject({ type: 'hello', mode: 'control', replayBytes: 0 })
    const picture = Buffer.from([...Array(256).keys()])
    server.paint(picture)
    await until(() => client.byteCount === SERVER_HANDSHAKE.length + 256, 'the picture')
    expect(client.bytes.subarray(-256).equals(picture)).toBe(true)
  })

  it('brings keys, clicks and clipboard of a viewer in control to the guest', async () => {
    const client = await opened('control')
    const all = Buffer.concat([UPDATE, KEY, CLICK, PASTE, CTRL_ALT_DELETE])
    client.type(all)
    await until(() => server.heard.length === all.length, 'everything to arrive')
    expect(server.heard.equals(all)).toBe(true)
  })

  it('lets a watching viewer see and never touch, whatever its client sends', async () => {
    const client = await opened('view')
    for (const part of [KEY, UPDATE, CLICK, PASTE, UPDATE, CTRL_ALT_DELETE, POWER_OFF, UPDATE]) client.type(part)
    const split = Buffer.concat([KEY, UPDATE, PASTE, UPDATE])
    for (const byte of split) client.type(Buffer.of(byte))
    await until(() => server.heard.length >= 5 * UPDATE.length, 'the update requests')
    expect(server.heard.equals(Buffer.concat(Array.from({ length: 5 }, () => UPDATE)))).toBe(true)
    server.paint(Buffer.from('picture'))
    await until(() => client.bytes.toString('latin1').endsWith('picture'), 'the picture to go on')
  })

  it('ends a viewer that speaks something else', async () => {
    for (const odd of [Buffer.from([7, 0, 0]), Buffer.from([255, 7, 0, 0])]) {
      const client = await opened('view')
      client.type(odd)
      expect((await client.closed).code).toBe(1008)
    }
    const texting = await opened('control')
    texting.ws.send('{"type":"burn"}')
    expect((await texting.closed).code).toBe(1008)
    await until(() => server.clients === 0, 'the server’s sides to be closed')
  })

  it('gives each viewer a connection of its own, and takes it away with the viewer', async () => {
    const [first, second] = [await opened('control'), await opened('view')]
    expect(server.clients).toBe(2)
    first.ws.terminate()
    await until(() => server.clients === 1, 'one to be left')
    expect(second.ws.readyState).toBe(second.ws.OPEN)
  })

  it('does not read the server faster than the viewer takes the picture, and loses nothing', async () => {
    const client = await opened('view')
    client.keeping = false
    client.ws.pause()
    const piece = Buffer.alloc(256 * 1024, 7)
    let painted = 0
    while (server.waitingBytes < 4 * MIB && painted < 200 * MIB) {
      server.paint(piece)
      painted += piece.length
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    expect(painted).toBeLessThan(60 * MIB) // the relay stopped taking: 4 MiB of its own, the rest is the kernel's
    client.ws.resume()
    await until(() => client.byteCount === SERVER_HANDSHAKE.length + painted, 'the whole picture')
  })

  it('says that the node stopped', async () => {
    const client = await opened('control')
    lab.setPhase(node, 'failed')
    expect((await client.closed).code).toBe(CLOSE.notRunning)
    expect(client.messages.at(-1)).toEqual({ type: 'node-stopped' })
  })

  it('notices a node that stopped without the engine saying so', async () => {
    const client = await opened('control')
    node.phase = 'stopped'
    server.hangUp()
    expect((await client.closed).code).toBe(CLOSE.notRunning)
  })

  it('says that the display is gone when the node still runs', async () => {
    const client = await opened('control')
    server.hangUp()
    expect((await client.closed).code).toBe(CLOSE.unavailable)
  })

  it('says why it can’t be opened', async () => {
    node.targets.screen = { via: 'unix', protocol: 'vnc', path: `${lab.folder}/nothing` }
    expect((await (await lab.open(ann, node, 'screen')).closed).code).toBe(CLOSE.unavailable)
    node.phase = 'stopped'
    expect((await (await lab.open(ann, node, 'screen')).closed).code).toBe(CLOSE.notRunning)
  })
})
