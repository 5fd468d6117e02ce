import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createGuacamole } from '../../src/consoles/guacamole/guacamole.js'
import { createRecordings, type Recordings } from '../../src/consoles/recording/recordings.js'
import { layoutOf, recordingDataFile, type Layout } from '../../src/domain/layout.js'
import { userIdSchema } from '../../src/domain/ids.js'
import type { Recording } from '../../src/domain/recording.js'
import type { Subject } from '../../src/domain/user.js'
import { workerIdentity } from '../../src/system/identity.js'
import { createLog } from '../../src/system/log.js'
import { type CompiledSources, compileSources } from '../support/compiled-backend.js'
import { type RealGuacd, startRealGuacd } from '../support/real-guacd.js'
import { keysHeard, rectangle } from '../support/rfb-pictures.js'
import { untilSeen } from '../support/until.js'
import { type ConsoleLab, startConsoleLab, type TestNode, until } from './console-lab.js'
import { connectGuacamole, decode, type GuacamoleClient } from './guacamole-client.js'
import { startVncServer, type VncServer } from './vnc-server.js'

jest.setTimeout(120_000) // a busy machine is slow, not wrong

const SECRET = 'hunter2'
const OWNER = userIdSchema.parse(randomUUID())

describe('recording a screen through a real guacd', () => {
  let guacd: RealGuacd
  let compiled: CompiledSources
  let lab: ConsoleLab
  let layout: Layout
  let recordings: Recordings
  let vnc: VncServer
  let node: TestNode
  let ann: Subject
  let isWanted = true

  beforeAll(async () => {
    ;[guacd, compiled] = await Promise.all([startRealGuacd(), compileSources(['consoles/guacamole'])])
  })
  afterAll(async () => {
    await guacd?.kill()
    await compiled?.remove()
  })
  afterEach(async () => {
    await lab.close()
    await recordings.close()
    await vnc.close()
  })

  beforeEach(() => openLab(1_000_000))

  async function openLab(screenBytes: number): Promise<void> {
    isWanted = true
    const log = createLog('silent')
    lab = await startConsoleLab({}, async (folder) => {
      layout = layoutOf(folder)
      recordings = await createRecordings({
        layout,
        log,
        nodeOf: () => ({ name: 'web', ownerId: OWNER, recording: null }),
        byDefault: () => isWanted,
        now: () => new Date(),
        limits: { screenBytes, keepFreeBytes: 0 },
      })
      const guacamole = await createGuacamole({
        guacd: { host: guacd.host, port: guacd.port, isNamed: true },
        layout,
        log,
        identity: workerIdentity(),
        intervalMs: 200,
        gateway: { program: compiled.path('consoles/guacamole/gateway-process.js') },
      })
      return { guacamole, recordings }
    })
    vnc = await startVncServer(`${lab.folder}/vnc`, 'web')
    node = lab.addNode({ targets: { screen: { via: 'unix', protocol: 'vnc', path: vnc.path } } })
    ann = lab.subject('ann')
  }

  async function opened(): Promise<GuacamoleClient> {
    const chosen = await lab.consoles.chooseEngine('screen', 'auto')
    expect(chosen.engine).toBe('guacamole')
    const about = { subject: ann, nodeId: node.id, kind: 'screen', mode: 'control', ...chosen } as const
    const url = lab.url + lab.consoles.issueTicket(about).url
    const client = await connectGuacamole(url, { origin: lab.origin, user: ann.credentialId })
    await until(() => client.has('size'), 'guacd to know the size')
    vnc.paint(rectangle(0, 0, 640, 480, [200, 40, 20]))
    await until(() => client.has('img') || client.has('rect'), 'a picture')
    await until(() => client.has('sync'), 'the end of a frame')
    return client
  }

  const ended = (): Promise<Recording> =>
    untilSeen('the recording has ended', async () => {
      const [newest] = recordings.list(node.id)
      return newest !== undefined && newest.endedAt !== null && newest
    })

  it('keeps the pictures, the pointer and their times, and never a key', async () => {
    const client = await opened()
    expect(client.messages[0]).toMatchObject({ type: 'hello', recorded: true })
    await until(() => client.isWriter, 'control')
    for (const letter of SECRET) {
      client.send('key', letter.codePointAt(0) ?? 0, 1)
      client.send('key', letter.codePointAt(0) ?? 0, 0)
    }
    client.send('mouse', 321, 123, 0)
    await until(() => keysHeard(vnc.heard).length === 2 * SECRET.length, 'the keys at the guest')
    client.ws.close()
    const recording = await ended()
    expect(recording).toMatchObject({ kind: 'screen', nodeName: 'web', ownerId: OWNER, cut: null })
    expect(recording.people).toMatchObject([{ login: 'ann', mode: 'control' }])
    const text = await readFile(recordingDataFile(layout, recording.id, 'guac'), 'utf8')
    expect(Buffer.byteLength(text)).toBe(recording.sizeBytes)
    const instructions = decode(text)
    const opcodes = new Set(instructions.map(([opcode]) => opcode))
    expect([...opcodes]).toEqual(expect.arrayContaining(['size', 'sync', 'mouse']))
    expect(opcodes.has('img') || opcodes.has('rect')).toBe(true)
    for (const secret of ['key', 'clipboard', '', 'args', 'ready']) expect(opcodes.has(secret)).toBe(false)
    expect(instructions.find(([opcode]) => opcode === 'mouse')).toEqual(['mouse', '321', '123', '0'])
    // The player tells time by these alone: whole numbers that never go back.
    const times = instructions.filter(([opcode]) => opcode === 'sync').map(([, time]) => Number(time))
    expect(times.length).toBeGreaterThan(0)
    expect(times).toEqual(times.toSorted((one, other) => one - other))
  })

  it('records nobody who was not told, and tells anew when it is switched', async () => {
    isWanted = false
    const before = await opened()
    expect(before.messages[0]).toMatchObject({ recorded: false })
    isWanted = true
    lab.consoles.recordingSwitched()
    expect((await before.closed).code).toBe(4412)
    expect(recordings.list(node.id)).toEqual([])
    const after = await opened()
    expect(after.messages[0]).toMatchObject({ recorded: true })
    after.ws.close()
    await ended()
  })

  it('stops at its largest size and says so, and the console goes on', async () => {
    await lab.close()
    await recordings.close()
    await vnc.close()
    await openLab(300)
    const client = await opened()
    await until(() => client.messages.some(({ type }) => type === 'recorded'), 'to be told')
    expect(client.messages.find(({ type }) => type === 'recorded')).toEqual({
      type: 'recorded',
      recorded: false,
      reason: 'the recording has reached its largest size',
    })
    await until(() => client.isWriter, 'control')
    client.send('key', 97, 1)
    await until(() => keysHeard(vnc.heard).includes('+97'), 'the key')
    expect(recordings.list(node.id)[0]?.sizeBytes ?? 0).toBeLessThanOrEqual(300)
  })
})
