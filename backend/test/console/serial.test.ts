import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { CLOSE, SERIAL_REPLAY_BYTES, SERIAL_WINDOW_BYTES } from '../../src/domain/console.js'
import type { Subject } from '../../src/domain/user.js'
import { type ConsoleLab, startConsoleLab, type TestNode, until } from './console-lab.js'
import { type Guest, startGuest } from './guest.js'

const MIB = 1024 * 1024

jest.setTimeout(60_000) // a busy machine is slow, not wrong

describe('the serial console', () => {
  let lab: ConsoleLab
  let guest: Guest
  let node: TestNode
  let ann: Subject
  let ina: Subject

  beforeEach(async () => {
    lab = await startConsoleLab()
    guest = await startGuest(`${lab.folder}/serial`)
    node = lab.addNode({
      log: () => guest.log,
      targets: { serial: { via: 'unix', protocol: 'serial', path: guest.path } },
    })
    ann = lab.subject('ann')
    ina = lab.subject('ina', 'instructor')
  })
  afterEach(async () => {
    await lab.close()
    await guest.close()
  })

  async function opened(subject: Subject, mode: 'control' | 'view' = 'control') {
    const client = await lab.open(subject, node, 'serial', mode)
    await until(() => client.viewers.length > 0 && client.byteCount > 1, 'the replay and the viewers')
    return client
  }

  it('replays what was said before anybody looked, then goes on live', async () => {
    node.logDelayMs = 200 // the viewers' list must wait for the greeting
    guest.say('Booting…\r\nlogin: ')
    const client = await opened(ann)
    expect(client.messages[0]).toMatchObject({ type: 'hello', replayBytes: client.byteCount })
    guest.say('ann\r\n')
    await until(() => client.text.endsWith('ann\r\n'), 'live output')
    expect(client.text).toBe('Booting…\r\nlogin: ann\r\n')
    expect(client.bytes.subarray(0, 2).toString()).toBe('\u001bc')
  })

  it('replays to everyone who comes later, the same history', async () => {
    guest.say('one\r\n')
    const first = await opened(ann)
    guest.say('two\r\n')
    await until(() => first.text.includes('two'), 'live output')
    const second = await opened(ina, 'view')
    expect(second.text).toBe('one\r\ntwo\r\n')
  })

  it('replays at most the newest 256 KiB, from the beginning of a line', async () => {
    const lines = Array.from({ length: 30_000 }, (_, at) => `line ${at} of the history`)
    guest.say(`${lines.join('\r\n')}\r\n`)
    const client = await opened(ann)
    const shown = client.text.split('\r\n')
    expect(client.byteCount).toBeLessThanOrEqual(SERIAL_REPLAY_BYTES + 2)
    expect(client.byteCount).toBeGreaterThan(SERIAL_REPLAY_BYTES - 100)
    expect(shown.slice(0, -1)).toEqual(lines.slice(-(shown.length - 1)))
  })

  it('joins replay and live output without a gap and without saying a line twice, while the guest talks', async () => {
    node.logDelayMs = 20
    let count = 0
    const talking = setInterval(() => {
      for (let burst = 0; burst < 20; burst += 1) guest.say(`line ${(count += 1)}\r\n`)
    }, 1)
    try {
      for (let round = 0; round < 8; round += 1) {
        await until(() => count > round * 200, 'the guest to go on')
        const client = await opened(ann)
        const before = client.byteCount
        await until(() => client.byteCount > before + 5000, 'live output')
        const numbers = client.text.split('\r\n').slice(0, -1)
        const first = Number(numbers[0]?.replace('line ', ''))
        expect(numbers).toEqual(numbers.map((_line, at) => `line ${first + at}`))
        expect(numbers.length).toBeGreaterThan(500)
        client.ws.close()
        await until(() => !guest.connected, 'the line to be closed after the last viewer')
      }
    } finally {
      clearInterval(talking)
    }
  })

  it('keeps characters whole that come in pieces', async () => {
    const client = await opened(ann)
    const text = 'Grüße, 世界 — 🚀\r\n'
    for (const byte of Buffer.from(text)) {
      guest.say(Buffer.of(byte))
      await new Promise((resolve) => setImmediate(resolve))
    }
    await until(() => client.text.endsWith('\r\n'), 'the whole line')
    expect(client.text).toBe(text)
    const decoded = new TextDecoder('utf-8', { fatal: true }).decode(client.bytes)
    expect(decoded).toContain(text)
  })

  it('shows two viewers the same bytes', async () => {
    const [first, second] = [await opened(ann), await opened(ina, 'view')]
    const all = Array.from({ length: 3000 }, (_, at) => `\u001b[3${at % 8}mcolour ${at}\u001b[0m\r\n`).join('')
    for (let at = 0; at < all.length; at += 997) guest.say(all.slice(at, at + 997))
    await until(() => first.text.length === all.length && second.text.length === all.length, 'all output')
    expect(first.text).toBe(all)
    expect(second.bytes.equals(first.bytes)).toBe(true)
  })

  describe('control', () => {
    it('lets the writer type, and nobody else', async () => {
      const writer = await opened(ann)
      const waiting = await opened(ina)
      const viewer = await opened(lab.subject('vic'), 'view')
      await until(() => writer.viewers.length === 3, 'everybody to be shown')
      expect(writer.viewers.filter(({ writer }) => writer).map(({ login }) => login)).toEqual(['ann'])
      waiting.type('rm -rf /\r')
      viewer.type('reboot\r')
      viewer.tell({ type: 'take-control' })
      await until(() => viewer.ws.bufferedAmount === 0, 'everything to be sent')
      viewer.type('reboot\r')
      writer.type('ls\r')
      await until(() => guest.typed.length > 0, 'the writer’s keys')
      await pingPong(waiting.ws, viewer.ws)
      expect(guest.typed.toString()).toBe('ls\r')
      expect(viewer.isWriter).toBe(false)
    })

    it('can be taken and given back, which everybody sees', async () => {
      const student = await opened(ann)
      const instructor = await opened(ina)
      expect(student.isWriter).toBe(true)
      instructor.tell({ type: 'take-control' })
      await until(() => instructor.isWriter && !student.isWriter, 'the instructor to have control')
      student.type('x')
      instructor.type('y')
      await until(() => guest.typed.length > 0, 'the instructor’s key')
      instructor.tell({ type: 'release-control' })
      await until(() => student.isWriter && !instructor.isWriter, 'the student to have control again')
      instructor.tell({ type: 'take-control' })
      await until(() => instructor.isWriter, 'the instructor to have control')
      instructor.ws.terminate()
      await until(() => student.isWriter, 'the student to have control after the instructor left')
      student.type('z')
      await until(() => guest.typed.toString().endsWith('z'), 'the student’s key')
      expect(guest.typed.toString()).toBe('yz')
    })

    it('stays with a person who comes back while their old connection still seems open', async () => {
      await opened(ann)
      const again = await opened(ann)
      await until(() => again.isWriter, 'control to follow')
    })

    it('is not told of in a flood, however often it changes', async () => {
      const student = await opened(ann)
      const instructor = await opened(ina)
      const before = student.messages.length
      for (let count = 0; count < 2000; count += 1) {
        instructor.tell({ type: count % 2 ? 'release-control' : 'take-control' })
      }
      await pingPong(instructor.ws)
      await until(() => student.isWriter, 'the last word')
      expect(student.messages.length - before).toBeLessThan(50)
    })
  })

  it('remembers each viewer’s size and types nothing by itself', async () => {
    const client = await opened(ann)
    client.tell({ type: 'resize', columns: 132, rows: 50 })
    await until(() => client.viewers[0]?.size?.columns === 132, 'the size to be shown')
    expect(guest.typed).toHaveLength(0)
  })

  it.each([
    'no json',
    '[]',
    '{"type":"ack"}',
    '{"type":"ack","bytes":-1}',
    '{"type":"sudo"}',
    '{"type":"resize","columns":1e9,"rows":1}',
  ])('ends a viewer that says %s', async (message) => {
    const client = await opened(ann)
    client.ws.send(message)
    expect((await client.closed).code).toBe(1008)
  })

  describe('under a flood', () => {
    /** Says `megabytes` of `yes`, as fast as the hub reads. */
    async function flood(megabytes: number): Promise<void> {
      guest.logging = false
      const piece = Buffer.alloc(64 * 1024, 'y\r\n')
      for (let count = (megabytes * MIB) / piece.length; count > 0; count -= 1) {
        if (!guest.say(piece)) await guest.writable()
      }
    }

    it('never holds the guest up for a viewer that acknowledges nothing, and keeps its memory', async () => {
      const stuck = await opened(ann)
      stuck.acknowledging = false
      stuck.keeping = false
      await flood(8) // warm-up: buffers and code are there
      const before = buffersInUse()
      await flood(128)
      expect(buffersInUse() - before).toBeLessThan(4 * MIB)
      expect(stuck.byteCount).toBeLessThanOrEqual(SERIAL_WINDOW_BYTES + 2)
      stuck.acknowledging = true
      stuck.tell({ type: 'ack', bytes: stuck.byteCount })
      await until(
        () => stuck.byteCount - 2 + stuck.skippedBytes === guest.saidBytes,
        'every byte to be shown or counted',
      )
      expect(stuck.skippedBytes).toBeGreaterThan(120 * MIB)
    })

    it('does not make a viewer wait for another that does not even read', async () => {
      const deaf = await opened(ina)
      deaf.ws.pause()
      const quick = await opened(ann)
      quick.keeping = false
      await flood(32)
      guest.say('the end')
      await until(() => quick.byteCount - 2 + quick.skippedBytes === guest.saidBytes, 'the quick one to see the end')
      expect(deaf.ws.readyState).toBe(deaf.ws.OPEN)
      guest.say('still there')
      await until(() => quick.byteCount - 2 + quick.skippedBytes === guest.saidBytes, 'the line to live')
    })

    it('does not believe a viewer that acknowledges what it has not read', async () => {
      const liar = await opened(ann)
      liar.acknowledging = false
      liar.ws.pause()
      const lying = setInterval(() => liar.tell({ type: 'ack', bytes: Number.MAX_SAFE_INTEGER }), 1)
      await flood(8)
      const before = buffersInUse()
      await flood(256)
      clearInterval(lying)
      expect(buffersInUse() - before).toBeLessThan(4 * MIB)
    })
  })

  it('holds a paste back that the guest does not take, and loses nothing of it', async () => {
    guest.setReading(false)
    const client = await opened(ann)
    const paste = Buffer.alloc(8 * MIB, '0123456789abcdef')
    for (let at = 0; at < paste.length; at += 64 * 1024) client.ws.send(paste.subarray(at, at + 64 * 1024))
    await settled(() => client.ws.bufferedAmount)
    expect(client.ws.bufferedAmount).toBeGreaterThan(0) // the network holds it, not the backend
    guest.setReading(true)
    await until(() => guest.typed.length === paste.length, 'the whole paste')
    expect(guest.typed.equals(paste)).toBe(true)
  })

  it('connects again when the line breaks while the node runs, and shows what was said meanwhile, once', async () => {
    const client = await opened(ann)
    guest.say('before\r\n')
    await until(() => client.text.includes('before'), 'live output')
    for (let round = 0; round < 3; round += 1) {
      guest.hangUp()
      await until(() => !guest.connected, 'the line to break')
      guest.say(`said while nobody listened ${round}\r\n`)
      await until(() => guest.connected, 'the line to be there again')
      guest.say(`after ${round}\r\n`)
      await until(() => client.text.includes(`after ${round}`), 'live output')
    }
    expect(client.text).toBe(guest.log.toString())
    client.type('ls\r')
    await until(() => guest.typed.toString() === 'ls\r', 'typing to work')
  })

  it('shows the last words of a node that stops, then says so', async () => {
    const client = await opened(ann)
    guest.say('reboot: Power down\r\n')
    guest.hangUp()
    lab.setPhase(node, 'stopped')
    expect((await client.closed).code).toBe(CLOSE.notRunning)
    expect(client.messages.at(-1)).toEqual({ type: 'node-stopped' })
    expect(client.text).toBe('reboot: Power down\r\n')
  })

  it('says that a node is not running when it is opened too late', async () => {
    node.phase = 'stopped'
    const client = await lab.open(ann, node)
    expect((await client.closed).code).toBe(CLOSE.notRunning)
  })

  it('gives up on a line that stays away although the node runs', async () => {
    const impatient = await startConsoleLab({ patienceMs: 100 })
    try {
      const target = { via: 'unix', protocol: 'serial', path: `${lab.folder}/nowhere` } as const
      const mute = impatient.addNode({ targets: { serial: target } })
      const client = await impatient.open(impatient.subject('ann'), mute)
      expect((await client.closed).code).toBe(CLOSE.unavailable)
    } finally {
      await impatient.close()
    }
  })

  it('opens a fresh line for the next run of the node', async () => {
    const client = await opened(ann)
    lab.setPhase(node, 'stopped')
    await client.closed
    node.phase = 'running'
    guest.say('second run\r\n')
    const next = await opened(ann)
    expect(next.text).toContain('second run')
  })
})

/** Bytes in buffers that are still held by somebody. */
function buffersInUse(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  collect()
  return process.memoryUsage().arrayBuffers
}

/** Everything that was sent before has been handled when the answers are there. */
async function pingPong(...sockets: import('ws').WebSocket[]): Promise<void> {
  await Promise.all(sockets.map((ws) => new Promise<void>((resolve) => (ws.once('pong', () => resolve()), ws.ping()))))
}

/** Waits until a figure has not changed for a while. */
async function settled(figure: () => number): Promise<void> {
  let seen = figure()
  let since = performance.now()
  await until(() => {
    if (figure() !== seen) [seen, since] = [figure(), performance.now()]
    return performance.now() - since > 150
  }, 'a figure to settle')
}
