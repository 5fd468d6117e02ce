import { createConnection, createServer, type Server, type Socket } from 'node:net'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { createGuacamole, type Guacamole } from '../../src/consoles/guacamole/guacamole.js'
import { CLOSE } from '../../src/domain/console.js'
import { layoutOf } from '../../src/domain/layout.js'
import type { Subject } from '../../src/domain/user.js'
import { workerIdentity } from '../../src/system/identity.js'
import { createLog } from '../../src/system/log.js'
import { type CompiledSources, compileSources } from '../support/compiled-backend.js'
import { type RealGuacd, startRealGuacd } from '../support/real-guacd.js'
import { keysHeard, rectangle, serverCutText } from '../support/rfb-pictures.js'
import { type ConsoleLab, startConsoleLab, type TestNode, until } from './console-lab.js'
import { connectGuacamole, type GuacamoleClient } from './guacamole-client.js'
import { startVncServer, type VncServer } from './vnc-server.js'

jest.setTimeout(120_000) // a busy machine is slow, not wrong

const BLUE = [200, 40, 20]
const A = 97
const B = 98

describe('a screen through a real guacd', () => {
  let guacd: RealGuacd
  let compiled: CompiledSources
  let lab: ConsoleLab
  let guacamole: Guacamole
  let vnc: VncServer
  let node: TestNode
  let ann: Subject
  let ina: Subject
  const controls: string[] = []
  const own = new Set<string>()

  beforeAll(async () => {
    ;[guacd, compiled] = await Promise.all([startRealGuacd(), compileSources(['consoles/guacamole'])])
  })
  afterAll(async () => {
    await guacd?.kill()
    await compiled?.remove()
  })
  beforeEach(async () => {
    controls.length = 0
    await openLab(guacd)
  })
  afterEach(closeLab)

  async function openLab(address: { host: string; port: number }): Promise<void> {
    lab = await startConsoleLab({}, async (folder) => {
      guacamole = await createGuacamole({
        guacd: { ...address, isNamed: true },
        layout: layoutOf(folder),
        log: createLog('silent'),
        identity: workerIdentity(),
        intervalMs: 200,
        gateway: { program: compiled.path('consoles/guacamole/gateway-process.js') },
      })
      return {
        guacamole,
        isOwn: ({ userId }) => own.has(userId),
        onControl: ({ subject }, what) => void controls.push(`${subject.login} ${what}`),
      }
    })
    vnc = await startVncServer(`${lab.folder}/vnc`, 'Café ☕ 𝄞')
    node = lab.addNode({ targets: { screen: { via: 'unix', protocol: 'vnc', path: vnc.path } } })
    ann = lab.subject('ann')
    ina = lab.subject('ina', 'instructor')
    own.add(ann.userId)
  }

  async function closeLab(): Promise<void> {
    await lab.close()
    await vnc.close()
  }

  async function urlFor(subject: Subject, mode: 'control' | 'view' = 'control'): Promise<string> {
    const chosen = await lab.consoles.chooseEngine('screen', 'auto')
    expect(chosen).toEqual({ engine: 'guacamole', notice: null })
    return lab.url + lab.consoles.issueTicket({ subject, nodeId: node.id, kind: 'screen', mode, ...chosen }).url
  }

  /** A viewer that has seen a picture. */
  async function opened(subject: Subject, mode: 'control' | 'view' = 'control'): Promise<GuacamoleClient> {
    const client = await connectGuacamole(await urlFor(subject, mode), {
      origin: lab.origin,
      user: subject.credentialId,
    })
    await until(() => client.has('size'), 'guacd to know the size')
    vnc.paint(rectangle(0, 0, 640, 480, BLUE))
    await until(() => client.has('img') || client.has('rect'), 'a picture')
    return client
  }

  const press = (client: GuacamoleClient, key: number) => {
    client.send('key', key, 1)
    client.send('key', key, 0)
  }

  it('brings the picture and the keys, and tells who is there beside them', async () => {
    const client = await opened(ann)
    expect(client.messages[0]).toMatchObject({ type: 'hello', mode: 'control', recorded: false })
    await until(() => client.isWriter, 'control')
    expect(client.viewers).toMatchObject([{ login: 'ann', kind: 'screen', engine: 'guacamole', writer: true }])
    press(client, A)
    await until(() => keysHeard(vnc.heard).includes('-97'), 'the key')
    expect(keysHeard(vnc.heard)).toEqual(['+97', '-97'])
  })

  it('lets a watching viewer see and never touch', async () => {
    const [owner, watcher] = [await opened(ann), await opened(ina, 'view')]
    press(watcher, B)
    watcher.send('mouse', 10, 10, 1)
    press(owner, A)
    await until(() => keysHeard(vnc.heard).includes('-97'), 'the owner’s key')
    expect(keysHeard(vnc.heard)).toEqual(['+97', '-97'])
  })

  it('lets one type at a time; an instructor sees first, takes control, hands it back, and all see it', async () => {
    const [owner, instructor] = [await opened(ann), await opened(ina)]
    await until(() => owner.isWriter && instructor.viewers.length === 2, 'both to be shown')
    press(instructor, B)
    owner.send('key', A, 1) // and holds it down
    await until(() => keysHeard(vnc.heard).includes('+97'), 'the owner’s key')
    instructor.sendText('{"type":"take-control"}')
    await until(() => instructor.isWriter && !owner.isWriter, 'control to change hands')
    expect(keysHeard(vnc.heard)).toEqual(['+97', '-97']) // let go of, so that it does not stay down
    press(instructor, B)
    press(owner, A)
    await until(() => keysHeard(vnc.heard).includes('-98'), 'the instructor’s key')
    instructor.sendText('{"type":"release-control"}')
    await until(() => owner.isWriter && !instructor.isWriter, 'control to come back')
    press(owner, A)
    await until(() => keysHeard(vnc.heard).length === 6, 'the owner’s key')
    expect(keysHeard(vnc.heard)).toEqual(['+97', '-97', '+98', '-98', '+97', '-97'])
    expect(controls).toEqual(['ina take-control', 'ina release-control'])
  })

  it('keeps a viewer that is silent for longer than guacd has patience', async () => {
    const url = await urlFor(ann)
    const hidden = await connectGuacamole(url, { origin: lab.origin, user: ann.credentialId, syncs: false })
    await until(() => hidden.has('size'), 'the first picture')
    const before = performance.now()
    await until(() => performance.now() - before > 20_000 || hidden.ws.readyState !== hidden.ws.OPEN, '', 30_000)
    expect(hidden.ws.readyState).toBe(hidden.ws.OPEN)
    press(hidden, A)
    await until(() => keysHeard(vnc.heard).includes('-97'), 'its key')
  })

  it('brings what the guest copies, whatever letters it has', async () => {
    const client = await opened(ann)
    vnc.paint(serverCutText('naïve'))
    await until(() => client.has('clipboard'), 'the clipboard')
  })

  it('refuses a bad, empty, old, foreign or used ticket before 101, and goes on', async () => {
    const client = await opened(ann)
    const asAnn = { origin: lab.origin, user: ann.credentialId }
    const spent = await urlFor(ann)
    ;(await connectGuacamole(spent, asAnn)).ws.close()
    const foreign = await urlFor(ina)
    for (const url of [spent, foreign, `${lab.url}/ws/console?ticket=`, `${lab.url}/ws/console?token=bogus`]) {
      await expect(connectGuacamole(url, asAnn)).rejects.toThrow('HTTP 403')
    }
    expect(client.ws.readyState).toBe(client.ws.OPEN)
    press(client, A)
    await until(() => keysHeard(vnc.heard).includes('-97'), 'the first viewer’s key')
  })

  it('takes an upgrade and what follows one byte at a time', async () => {
    const url = new URL(await urlFor(ann))
    const heard = await byteByByte(url, lab.origin, ann.credentialId)
    await until(() => heard.text.includes('"hello"') && heard.text.includes('4.size'), 'hello and the picture’s size')
    heard.socket.destroy()
    await until(() => lab.consoles.viewers(node.id).length === 0, 'the viewer to have left')
  })

  it('ends a viewer that says what no client of ours says, and nobody else', async () => {
    const [good, odd, other] = [await opened(ann), await opened(ina), await opened(ina, 'view')]
    odd.sendText('6.select,3.ssh;')
    expect((await odd.closed).code).toBe(1008)
    other.sendText('{"type":"burn"}')
    expect((await other.closed).code).toBe(1008)
    expect(good.ws.readyState).toBe(good.ws.OPEN)
  })

  it('keeps letters whole that come from guacd in two pieces', async () => {
    const name = 'Café ☕ 𝄞'
    const address = await scriptedGuacd(Buffer.from(`5.ready,2.$1;4.name,${Array.from(name).length}.${name};`))
    await closeLab()
    await openLab(address)
    try {
      const client = await connectGuacamole(await urlFor(ann), { origin: lab.origin, user: ann.credentialId })
      await until(() => client.has('name'), 'the screen’s name')
      expect(client.instructions.find(([opcode]) => opcode === 'name')?.[1]).toBe(name)
      expect(client.ws.readyState).toBe(client.ws.OPEN)
    } finally {
      address.close()
    }
  })

  it('ends one viewer, and not the gateway, when guacd says what can’t be read', async () => {
    const address = await scriptedGuacd(Buffer.from('5.ready,2.$1;x.name,9.;;;4,'))
    await closeLab()
    await openLab(address)
    try {
      const url = await urlFor(ann)
      const { pid } = guacamole.gateway
      const client = await connectGuacamole(url, { origin: lab.origin, user: ann.credentialId })
      expect((await client.closed).code).toBe(CLOSE.unavailable)
      expect(guacamole.gateway.pid).toBe(pid)
    } finally {
      address.close()
    }
  })

  it('says that the node stopped, and that the display is gone when the node still runs', async () => {
    const first = await opened(ann)
    lab.setPhase(node, 'failed')
    expect((await first.closed).code).toBe(CLOSE.notRunning)
    expect(first.messages.at(-1)).toEqual({ type: 'node-stopped' })
    lab.setPhase(node, 'running')
    const second = await opened(ann)
    vnc.hangUp()
    expect((await second.closed).code).toBe(CLOSE.unavailable)
  })

  it('closes a viewer whose right is taken away', async () => {
    const client = await opened(ann)
    lab.consoles.closeForCredential(ann.credentialId)
    expect((await client.closed).code).toBe(CLOSE.badTicket)
    await until(() => vnc.clients === 0, 'the node’s side to be closed')
  })

  it('loses nothing but consoles when the gateway is killed, and they come back', async () => {
    const client = await opened(ann)
    const { pid } = guacamole.gateway
    process.kill(pid!, 'SIGKILL')
    expect((await client.closed).code).toBe(1006)
    await until(() => vnc.clients === 0 && lab.consoles.viewers(node.id).length === 0, 'the viewer to be gone')
    const again = await opened(ann)
    expect(guacamole.gateway.pid).not.toBe(pid)
    press(again, A)
    await until(() => keysHeard(vnc.heard).includes('-97'), 'a key')
  })

  it('falls back to the direct screen with a notice while guacd is dead, and comes back', async () => {
    const client = await opened(ann)
    await guacd.kill()
    expect((await client.closed).code).toBe(CLOSE.unavailable)
    const chosen = await lab.consoles.chooseEngine('screen', 'auto')
    expect(chosen).toEqual({ engine: 'direct', notice: expect.stringMatching(/^No guacd answers at .*directly\.$/) })
    expect(await lab.consoles.guacamoleHealth()).toMatchObject({ message: expect.stringContaining('No guacd answers') })
    const direct = await lab.open(ann, node, 'screen')
    direct.acknowledging = false
    await until(() => direct.messages.length > 0, 'hello')
    await guacd.start()
    await until(() => direct.messages.some(({ type }) => type === 'guacamole'), 'to hear of it')
    expect(direct.messages).toContainEqual({ type: 'guacamole', answers: true })
    await opened(ann)
  })

  it('does not take a frozen guacd for one that answers, and ends what hangs on it', async () => {
    const client = await opened(ann)
    guacd.freeze()
    try {
      await until(() => !guacamole.isAnswering, 'the silence to be noticed')
      expect(await lab.consoles.chooseEngine('screen', 'auto')).toMatchObject({ engine: 'direct' })
      expect((await client.closed).code).toBe(CLOSE.unavailable)
    } finally {
      guacd.thaw()
    }
    await until(() => guacamole.isAnswering, 'guacd to answer again')
  })

  it('offers no Guacamole for a while when guacd does not come to its sockets', async () => {
    const address = await deafGuacd()
    await closeLab()
    await openLab(address)
    const url = await urlFor(ann)
    const client = await connectGuacamole(url, { origin: lab.origin, user: ann.credentialId })
    expect((await client.closed).code).toBe(CLOSE.unavailable)
    const chosen = await lab.consoles.chooseEngine('screen', 'auto')
    expect(chosen).toEqual({ engine: 'direct', notice: expect.stringContaining('does not reach') })
    expect(await lab.consoles.guacamoleHealth()).toMatchObject({ state: 'warning' })
    address.close()
  })
})

/** Everything one byte at a time: the request, and whatever comes back is kept. */
async function byteByByte(url: URL, origin: string, user: string): Promise<{ socket: Socket; readonly text: string }> {
  const socket = createConnection({ host: url.hostname, port: Number(url.port), noDelay: true })
  let text = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk))
  socket.on('error', () => undefined)
  const request = [
    `GET ${url.pathname}${url.search} HTTP/1.1`,
    `Host: ${url.host}`,
    `Origin: ${origin}`,
    `X-Test-User: ${user}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
  ]
  // A frame (3.nop;) right behind the request, as no browser would send it: nothing of it may be lost on the way.
  const frame = Buffer.concat([Buffer.from([0x81, 0x86, 0, 0, 0, 0]), Buffer.from('3.nop;')])
  for (const byte of Buffer.concat([Buffer.from(`${request.join('\r\n')}\r\n\r\n`), frame])) {
    await new Promise((resolve) => socket.write(Buffer.of(byte), resolve))
  }
  return {
    socket,
    get text() {
      return text
    },
  }
}

interface Address {
  host: string
  port: number
  close(): void
}

/** Greets as guacd does, then says `words` byte by byte, as a network may bring them. */
async function scriptedGuacd(words: Buffer): Promise<Address> {
  return listening((client) => {
    client.setNoDelay(true)
    client.on('error', () => undefined)
    client.on('end', () => client.end())
    client.on('data', (chunk) => {
      const text = chunk.toString()
      if (text.includes('6.select')) client.write('4.args,13.VERSION_1_3_0,8.hostname,4.port;')
      if (text.includes('7.connect')) void sayByteByByte(client, words)
    })
  })
}

async function sayByteByByte(client: Socket, words: Buffer): Promise<void> {
  for (const byte of words) {
    await new Promise((resolve) => client.write(Buffer.of(byte), resolve))
    await new Promise((resolve) => setImmediate(resolve)) // so that each is a packet of its own
  }
}

/** Answers as guacd, and never opens the screen that it is told of. */
async function deafGuacd(): Promise<Address> {
  return listening((client) => {
    client.on('error', () => undefined)
    client.on('data', (chunk) => {
      const text = chunk.toString()
      if (text.includes('6.select')) client.write('4.args,13.VERSION_1_3_0,8.hostname,4.port;')
      if (text.includes('7.connect')) client.end('5.ready,2.$1;5.error,7.no such,3.519;')
    })
    client.on('end', () => client.end())
  })
}

async function listening(serve: (client: Socket) => void): Promise<Address> {
  const sockets = new Set<Socket>()
  const server: Server = createServer((client) => {
    sockets.add(client)
    client.on('close', () => sockets.delete(client))
    serve(client)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    close() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
