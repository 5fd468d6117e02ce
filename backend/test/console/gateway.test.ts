import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { CLOSE, MAX_VIEWERS_PER_NODE } from '../../src/domain/console.js'
import type { Subject } from '../../src/domain/user.js'
import { connectConsole, upgradeStatus } from './console-client.js'
import { type ConsoleLab, startConsoleLab, type TestNode, until } from './console-lab.js'

jest.setTimeout(60_000) // a busy machine is slow, not wrong

/** Answers nothing and takes everything. */
const silentTarget = { via: 'stream', protocol: 'serial', open: async () => new PassThrough() } as const

describe('the console gateway', () => {
  let lab: ConsoleLab
  let ann: Subject
  let bob: Subject
  let node: TestNode
  let now = 0

  beforeEach(async () => {
    now = 0
    lab = await startConsoleLab({ nowMs: () => now, pingIntervalMs: 100 })
    ann = lab.subject('ann')
    bob = lab.subject('bob')
    node = lab.addNode({ targets: { serial: silentTarget, screen: { ...silentTarget, protocol: 'vnc' } } })
  })
  afterEach(() => lab.close())

  const asAnn = () => ({ origin: lab.origin, user: ann.credentialId })

  it('opens a console for whom the ticket was issued', async () => {
    const client = await lab.open(ann, node)
    await until(() => client.messages.length > 0, 'hello')
    expect(client.messages[0]).toMatchObject({ type: 'hello', mode: 'control' })
    expect(lab.consoles.viewers(node.id)).toMatchObject([
      { login: 'ann', kind: 'serial', mode: 'control', writer: true },
    ])
  })

  it('says what a ticket is for', () => {
    const ticket = lab.consoles.issueTicket({ subject: ann, nodeId: node.id, kind: 'screen', mode: 'view' })
    expect(ticket).toMatchObject({ kind: 'screen', mode: 'view', engine: 'direct' })
    expect(ticket.url).toBe(`/ws/console?ticket=${ticket.ticket}`)
    expect(Date.parse(ticket.expiresAt) - Date.now()).toBeGreaterThan(29_000)
  })

  describe('refuses before 101', () => {
    it('without a ticket, and with one that never was', async () => {
      for (const query of ['', '?ticket=', '?ticket=x', `?ticket=${randomBytes(32).toString('base64url')}`]) {
        expect(await upgradeStatus(`${lab.url}/ws/console${query}`, asAnn())).toEqual({
          status: 403,
          code: 'bad_ticket',
        })
      }
    })

    it('a used ticket', async () => {
      const url = lab.ticketUrl(ann, node)
      expect(await upgradeStatus(url, asAnn())).toEqual({ status: 101 })
      expect(await upgradeStatus(url, asAnn())).toEqual({ status: 403, code: 'bad_ticket' })
    })

    it('an expired ticket', async () => {
      const url = lab.ticketUrl(ann, node)
      now = 30_001
      expect(await upgradeStatus(url, asAnn())).toEqual({ status: 403, code: 'bad_ticket' })
    })

    it('another person’s ticket, which is then spent', async () => {
      const url = lab.ticketUrl(ann, node)
      const asBob = { origin: lab.origin, user: bob.credentialId }
      expect(await upgradeStatus(url, asBob)).toEqual({ status: 403, code: 'bad_ticket' })
      expect(await upgradeStatus(url, asAnn())).toEqual({ status: 403, code: 'bad_ticket' })
    })

    it('a foreign Origin, which leaves the ticket unspent', async () => {
      const url = lab.ticketUrl(ann, node)
      for (const origin of ['https://evil.example', 'null', `${lab.origin}.evil.example`, undefined]) {
        expect(await upgradeStatus(url, { ...asAnn(), origin })).toEqual({ status: 403, code: 'foreign_origin' })
      }
      expect(await upgradeStatus(url, asAnn())).toEqual({ status: 101 })
    })

    it('somebody who is not signed in', async () => {
      const url = lab.ticketUrl(ann, node)
      expect(await upgradeStatus(url, { origin: lab.origin })).toEqual({ status: 401, code: 'not_signed_in' })
    })

    it('somebody whose right has gone since the ticket was issued', async () => {
      const url = lab.ticketUrl(ann, node, 'screen', 'view')
      const asked: unknown[] = []
      lab.rules.mayOpen = async (...about) => {
        asked.push(about)
        return false
      }
      expect(await upgradeStatus(url, asAnn())).toEqual({ status: 404, code: 'not_found' })
      expect(asked).toEqual([[ann, node.id, 'view']])
    })

    it('an upgrade whose person, sign-in or node goes while it is under way', async () => {
      for (const end of [
        () => lab.consoles.closeForUser(ann.userId),
        () => lab.consoles.closeForCredential(ann.credentialId),
        () => lab.consoles.closeForNode(node.id),
      ]) {
        let answer: (may: boolean) => void = () => {}
        lab.rules.mayOpen = () => new Promise<boolean>((resolve) => (answer = resolve))
        const status = upgradeStatus(lab.ticketUrl(ann, node), asAnn())
        const asked = answer
        await until(() => answer !== asked, 'the right to be asked for')
        end()
        answer(true)
        expect(await status).toEqual({ status: 404, code: 'not_found' })
      }
    })

    it('any other path', async () => {
      expect(await upgradeStatus(`${lab.url}/ws/elsewhere`, asAnn())).toEqual({ status: 404, code: 'not_found' })
    })

    it('10,000 replays and forgeries', async () => {
      const used = lab.ticketUrl(ann, node)
      await upgradeStatus(used, asAnn())
      const statuses = new Map<string, number>()
      const forge = () => `${lab.url}/ws/console?ticket=${randomBytes(32).toString('base64url')}`
      for (let round = 0; round < 200; round += 1) {
        const urls = Array.from({ length: 50 }, (_, at) => (at % 2 ? used : forge()))
        const answers = await Promise.all(urls.map((url) => answerTo(rawUpgrade(url, lab.origin, ann.credentialId))))
        for (const answer of answers) statuses.set(answer, (statuses.get(answer) ?? 0) + 1)
      }
      expect([...statuses]).toEqual([['HTTP/1.1 403 Forbidden', 10_000]])
    })
  })

  it('closes open consoles within a second when the sign-in, the person or the node goes', async () => {
    const cases = [
      [() => lab.consoles.closeForCredential(ann.credentialId), CLOSE.badTicket],
      [() => lab.consoles.closeForUser(ann.userId), CLOSE.notAllowed],
      [() => lab.consoles.closeForNode(node.id), CLOSE.notRunning],
    ] as const
    for (const [end, code] of cases) {
      const clients = await Promise.all([lab.open(ann, node, 'serial'), lab.open(ann, node, 'screen', 'view')])
      const unused = lab.ticketUrl(ann, node)
      const since = performance.now()
      end()
      expect(lab.consoles.viewers(node.id)).toEqual([])
      for (const client of clients) {
        const closed = await client.closed
        expect(closed.code).toBe(code)
        expect(closed.afterMs(since)).toBeLessThan(5000)
      }
      expect((await upgradeStatus(unused, asAnn())).status).toBe(403)
    }
  })

  it('leaves everybody else’s consoles open', async () => {
    const [ofAnn, ofBob] = await Promise.all([lab.open(ann, node), lab.open(bob, node)])
    lab.consoles.closeForUser(ann.userId)
    await ofAnn.closed
    expect(lab.consoles.viewers(node.id).map(({ login }) => login)).toEqual(['bob'])
    expect(ofBob.ws.readyState).toBe(ofBob.ws.OPEN)
  })

  it('cuts within a second who does not answer the closing, and lets nothing through meanwhile', async () => {
    const patient = await startConsoleLab({ pingIntervalMs: 60_000 })
    try {
      const guest = new PassThrough()
      const subject = patient.subject('ann')
      const target = { via: 'stream', protocol: 'serial', open: async () => guest } as const
      const slow = patient.addNode({ targets: { serial: target } })
      const socket = rawUpgrade(patient.ticketUrl(subject, slow), patient.origin, subject.credentialId)
      await until(() => patient.consoles.viewers(slow.id)[0]?.writer === true, 'the console to open')
      const since = performance.now()
      const typedBefore = guest.readableLength
      patient.consoles.closeForUser(subject.userId)
      socket.write(Buffer.from([0x82, 0x81, 0, 0, 0, 0, 0x61])) // a binary frame: the key `a`
      await new Promise((resolve) => socket.once('close', resolve))
      expect(performance.now() - since).toBeLessThan(5000)
      expect(performance.now() - since).toBeGreaterThan(500) // it was cut; it did not leave by itself
      expect(guest.readableLength).toBe(typedBefore)
    } finally {
      await patient.close()
    }
  })

  it('ends connections that do not answer a ping', async () => {
    const alive = await lab.open(ann, node)
    const dead = await connectConsole(lab.ticketUrl(bob, node), {
      origin: lab.origin,
      user: bob.credentialId,
      autoPong: false,
    })
    expect((await dead.closed).code).toBe(1006)
    expect(alive.ws.readyState).toBe(alive.ws.OPEN)
    await until(() => lab.consoles.viewers(node.id).length === 1, 'the dead one to be gone')
    expect(lab.consoles.viewers(node.id)[0]?.login).toBe('ann')
  })

  it('admits a bounded number of viewers to a node', async () => {
    const spare = lab.ticketUrl(bob, node)
    for (let count = 0; count < MAX_VIEWERS_PER_NODE; count += 1) await lab.open(ann, node, 'serial', 'view')
    expect(() => lab.ticketUrl(ann, node)).toThrow(expect.objectContaining({ code: 'too_many_viewers' }))
    const late = await connectConsole(spare, { origin: lab.origin, user: bob.credentialId })
    expect((await late.closed).code).toBe(CLOSE.tooManyViewers)
    expect(lab.consoles.viewers(node.id)).toHaveLength(MAX_VIEWERS_PER_NODE)
  })

  it('tells everybody on a node who else is there, on serial line and screen alike', async () => {
    const serial = await lab.open(ann, node)
    const screen = await lab.open(lab.subject('ina', 'instructor'), node, 'screen', 'view')
    await until(() => serial.viewers.length === 2 && screen.viewers.length === 2, 'both to be shown')
    expect(serial.viewers).toMatchObject([
      { login: 'ann', kind: 'serial', mode: 'control', writer: true },
      { login: 'ina', kind: 'screen', mode: 'view', writer: false },
    ])
    screen.ws.close()
    await until(() => serial.viewers.length === 1, 'the instructor to have left')
  })

  it('says that it restarts when the backend goes', async () => {
    const client = await lab.open(ann, node)
    lab.consoles.close()
    expect((await client.closed).code).toBe(1001)
  })

  it('ends a client that sends more than a message may hold', async () => {
    const client = await lab.open(ann, node)
    client.ws.on('error', () => {})
    client.ws.send(Buffer.alloc(1024 * 1024 + 1))
    expect((await client.closed).code).toBe(1009)
  })
})

/** Asks for an upgrade by a socket that knows no WebSocket, so never answers a ping or a closing. */
function rawUpgrade(url: string, origin: string, user: string): Socket {
  const { hostname, port, pathname, search } = new URL(url)
  const socket = connect(Number(port), hostname)
  socket.write(
    [
      `GET ${pathname}${search} HTTP/1.1`,
      `Host: ${hostname}`,
      `Origin: ${origin}`,
      `X-Test-User: ${user}`,
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
      '\r\n',
    ].join('\r\n'),
  )
  return socket.resume()
}

/** The first line of what comes until the other side ends the connection. */
function answerTo(socket: Socket): Promise<string> {
  let answer = ''
  socket.on('data', (chunk) => (answer += chunk.toString()))
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.once('close', () => resolve(answer.split('\r\n')[0] ?? ''))
  })
}
