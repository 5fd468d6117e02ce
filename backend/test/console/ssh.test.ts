import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { openHostKeys } from '../../src/consoles/ssh/host-keys.js'
import { type LabKey, openLabKey } from '../../src/consoles/ssh/lab-key.js'
import type { SshTiming } from '../../src/consoles/ssh/ssh-sign-in.js'
import { createRecordings, type Recordings } from '../../src/consoles/recording/recordings.js'
import { CLOSE, MAX_SSH_PER_NODE, SERIAL_WINDOW_BYTES } from '../../src/domain/console.js'
import { userIdSchema } from '../../src/domain/ids.js'
import { layoutOf, overlayFile, recordingDataFile, sshHostKeysFile, sshKeyFile } from '../../src/domain/layout.js'
import type { Subject } from '../../src/domain/user.js'
import { EngineError } from '../../src/hosts/engine.js'
import { createLog } from '../../src/system/log.js'
import { connectConsole, type ConsoleClient } from './console-client.js'
import { type ConsoleLab, startConsoleLab, type TestNode, until } from './console-lab.js'
import { type GuestSsh, newHostKey, startGuestSsh } from './ssh-server.js'

jest.setTimeout(60_000) // a busy machine is slow, not wrong

const QUICK: SshTiming = { patienceMs: 5000, retryMs: 20, greetMs: 2000, handshakeMs: 10_000, answerMs: 20_000 }
const CHUNK = Buffer.alloc(64 * 1024, 'x')
const OTHER_KEY = 'Trust the new key? [y/N] '

describe('an SSH console', () => {
  let lab: ConsoleLab
  let guest: GuestSsh
  let node: TestNode
  let ann: Subject
  let key: LabKey
  let recordings: Recordings
  let recorded: boolean
  let timing: SshTiming
  let refusal: EngineError | undefined
  let trusted: string[]

  beforeEach(async () => {
    recorded = false
    refusal = undefined
    timing = { ...QUICK }
    trusted = []
    const log = createLog('silent')
    lab = await startConsoleLab({}, async (folder) => {
      const layout = layoutOf(folder)
      await mkdir(layout.state)
      key = await openLabKey(layout)
      guest = await startGuestSsh(key.publicKey)
      recordings = await createRecordings({
        layout,
        log,
        nodeOf: () => ({ name: 'web', ownerId: userIdSchema.parse(crypto.randomUUID()), recording: recorded }),
        byDefault: () => false,
        now: () => new Date(),
        limits: { keepFreeBytes: 0 },
      })
      return {
        recordings,
        connectGuest: async () => {
          if (refusal) throw refusal
          return guest.connect()
        },
        ssh: {
          key,
          hostKeys: await openHostKeys({ layout, log, exists: () => true }),
          accountOf: () => ({ name: 'web', user: 'ada' }),
          onTrusted: (_session, fingerprint) => void trusted.push(fingerprint),
          get timing() {
            return timing
          },
        },
      }
    })
    node = lab.addNode()
    ann = lab.subject('ann')
  })
  afterEach(async () => {
    await recordings.close()
    await lab.close()
    await guest.close()
  })

  const open = (subject = ann) => lab.open(subject, node, 'ssh')
  const shown = ({ bytes }: ConsoleClient) => bytes.toString()
  const untilShown = (client: ConsoleClient, text: string) =>
    until(() => shown(client).includes(text), `${JSON.stringify(text)} to be shown`)

  async function withShell(subject = ann): Promise<ConsoleClient> {
    const client = await open(subject)
    await untilShown(client, '$ ')
    return client
  }

  it('is a shell of one’s own, as the node’s user and by the key of this installation', async () => {
    const client = await withShell()
    await until(() => client.isWriter, 'the right to type')
    client.type('echo hällo\r')
    await untilShown(client, 'echo hällo\r\n$ ')
    expect(guest.users).toEqual(['ada'])
    const other = await withShell(lab.subject('ina', 'instructor'))
    other.type('mine alone\r')
    await untilShown(other, 'mine alone\r\n')
    expect(shown(client)).not.toContain('mine alone')
    expect(client.viewers.map(({ login, kind, writer }) => ({ login, kind, writer }))).toEqual([
      { login: 'ann', kind: 'ssh', writer: true },
      { login: 'ina', kind: 'ssh', writer: true },
    ])
  })

  it('tells the guest how large the terminal is, at first and whenever that changes', async () => {
    const client = await open()
    client.tell({ type: 'resize', columns: 132, rows: 43 })
    await until(() => guest.sizes.at(-1)?.columns === 132, 'the first size')
    client.tell({ type: 'resize', columns: 90, rows: 20 })
    await until(() => guest.sizes.at(-1)?.columns === 90, 'the new size')
    expect(guest.sizes.at(-1)).toEqual({ columns: 90, rows: 20 })
  })

  it('ends with the shell, and says how', async () => {
    const client = await withShell()
    client.type('exit\r')
    expect(await client.closed).toMatchObject({ code: CLOSE.finished })
    expect(shown(client)).toContain('The session has ended with exit code 3.')
    await until(() => guest.connections === 0, 'the connection to be closed')
  })

  it('leaves nothing open in the guest when the page goes', async () => {
    const client = await withShell()
    client.ws.terminate()
    await until(() => guest.connections === 0, 'the connection to be closed')
  })

  it('waits for a guest that is still starting', async () => {
    guest.listens = false
    const client = await open()
    await untilShown(client, 'Waiting for SSH on web')
    guest.listens = true
    await untilShown(client, '$ ')
  })

  it('gives up when no SSH server answers, and says what to do', async () => {
    guest.listens = false
    timing.patienceMs = 300
    const client = await open()
    expect(await client.closed).toMatchObject({ code: CLOSE.finished })
    expect(shown(client)).toContain('web did not answer to SSH')
    expect(shown(client)).toContain('serial line')
  })

  it('says how to let it in where the guest does not know its key', async () => {
    guest.authorizedKey = null
    const client = await open()
    expect(await client.closed).toMatchObject({ code: CLOSE.finished })
    expect(shown(client)).toContain(`echo '${key.publicKey}' >> ~/.ssh/authorized_keys`)
  })

  it('says why where there is no way to the guest', async () => {
    refusal = new EngineError('unsupported', 'This machine has no namespaces.')
    const client = await open()
    expect(await client.closed).toMatchObject({ code: CLOSE.finished })
    expect(shown(client)).toContain('This machine has no namespaces.')
  })

  describe('to a guest with another host key than before', () => {
    beforeEach(async () => {
      await mkdir(layoutOf(lab.folder).overlays)
      await writeFile(overlayFile(layoutOf(lab.folder), node.id), '')
      const client = await withShell()
      client.ws.terminate()
      await until(() => guest.connections === 0, 'the first session to be over')
      guest.users.length = 0
      guest.hostKey = newHostKey()
    })

    it('asks, and signs in nowhere when the answer is no', async () => {
      const client = await open()
      await untilShown(client, OTHER_KEY)
      client.type('\r')
      expect(await client.closed).toMatchObject({ code: CLOSE.finished })
      expect(shown(client)).toContain('Not trusted. Nothing was sent to it.')
      expect(guest.users).toEqual([])
      expect(trusted).toEqual([])
    })

    it('goes on when it is trusted, and does not ask again', async () => {
      const client = await open()
      await untilShown(client, OTHER_KEY)
      client.type('y')
      await untilShown(client, '$ ')
      expect(trusted).toHaveLength(1)
      expect(shown(await withShell())).not.toContain(OTHER_KEY)
      const kept: unknown = JSON.parse(await readFile(sshHostKeysFile(layoutOf(lab.folder)), 'utf8'))
      expect(kept).toMatchObject({ nodes: { [node.id]: { fingerprint: trusted[0] } } })
    })

    it('need not be asked where the node has another disk since', async () => {
      const disk = overlayFile(layoutOf(lab.folder), node.id)
      await writeFile(`${disk}.new`, '')
      await rename(`${disk}.new`, disk)
      const client = await withShell()
      expect(shown(client)).toContain('web has another disk than before')
      expect(shown(client)).not.toContain(OTHER_KEY)
    })
  })

  it('ends when its node does', async () => {
    const client = await withShell()
    lab.setPhase(node, 'stopped')
    expect(await client.closed).toMatchObject({ code: CLOSE.notRunning })
    expect(client.messages.at(-1)).toEqual({ type: 'node-stopped' })
    await until(() => guest.connections === 0, 'the connection to be closed')
  })

  it('says so when the connection breaks while the node runs', async () => {
    const client = await withShell()
    await guest.close()
    expect(await client.closed).toMatchObject({ code: CLOSE.finished })
    expect(shown(client)).toContain('The connection to the guest is lost.')
  })

  it('ends with everything else when the backend goes, or the right to it', async () => {
    const client = await withShell()
    const other = await withShell(lab.subject('bob'))
    lab.consoles.closeForUser(ann.userId)
    expect(await client.closed).toMatchObject({ code: CLOSE.notAllowed })
    lab.consoles.close()
    expect(await other.closed).toMatchObject({ code: 1001 })
    await until(() => guest.connections === 0, 'the connections to be closed')
  })

  it('holds a guest that says more than its page draws', async () => {
    const client = await withShell()
    client.acknowledging = false
    const most = 32 * SERIAL_WINDOW_BYTES
    let said = 0
    let refusals = 0 // in a row
    const talking = setInterval(() => {
      const isTaken = said >= most || guest.channel?.write(CHUNK) === true
      refusals = isTaken ? 0 : refusals + 1
      if (said < most) said += CHUNK.length
    }, 1)
    try {
      await until(() => refusals > 25 || said >= most, 'the guest to be held')
      expect(said).toBeLessThan(most)
      const full = client.byteCount
      expect(full).toBeLessThan(2 * SERIAL_WINDOW_BYTES)
      client.tell({ type: 'ack', bytes: full })
      await until(() => client.byteCount > full + SERIAL_WINDOW_BYTES / 2, 'more after the acknowledgement')
    } finally {
      clearInterval(talking)
    }
  })

  it(`is one of at most ${MAX_SSH_PER_NODE} on a node`, async () => {
    const url = lab.ticketUrl(ann, node, 'ssh')
    for (let count = 0; count < MAX_SSH_PER_NODE; count += 1) await withShell()
    expect(() => lab.ticketUrl(ann, node, 'ssh')).toThrow(`${MAX_SSH_PER_NODE} SSH sessions`)
    expect(lab.ticketUrl(ann, node, 'serial')).toContain('ticket=')
    const late = await connectConsole(url, { origin: lab.origin, user: ann.credentialId })
    expect(await late.closed).toMatchObject({ code: CLOSE.tooManyViewers })
  })

  it('is recorded where that was asked for, with what was shown and not what was typed', async () => {
    recorded = true
    const client = await withShell()
    expect(client.messages[0]).toMatchObject({ type: 'hello', recorded: true })
    guest.channel?.write('a secret prompt: ')
    await untilShown(client, 'a secret prompt: ')
    client.type('exit\r')
    await client.closed
    await recordings.close()
    const [recording] = recordings.list(node.id)
    expect(recording).toMatchObject({ kind: 'ssh', people: [{ login: 'ann' }] })
    const cast = await readFile(recordingDataFile(layoutOf(lab.folder), recording!.id, 'cast'), 'utf8')
    expect(cast).toContain('a secret prompt: ')
    expect(cast).not.toMatch(/"i"/)
  })

  it('signs in by a key that is kept, and refuses to replace one that can not be used', async () => {
    const layout = layoutOf(lab.folder)
    expect((await stat(sshKeyFile(layout))).mode & 0o777).toBe(0o600)
    expect(await openLabKey(layout)).toEqual(key)
    await writeFile(sshKeyFile(layout), 'not a key')
    await expect(openLabKey(layout)).rejects.toMatchObject({ code: 'state_io' })
  })
})
