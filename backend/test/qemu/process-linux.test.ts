import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { randomUUID } from 'node:crypto'
import { connect } from 'node:net'
import { nodeIdSchema } from '../../src/domain/ids.js'
import type { Image } from '../../src/domain/image.js'
import type { NodeEngine, NodeSpec } from '../../src/hosts/engine.js'
import { keysForText } from '../../src/hosts/keymap.js'
import { hashGuestPassword } from '../../src/system/crypt-password.js'
import { provideImageFiles } from '../support/built-images.js'
import { specOver } from '../support/node-spec.js'
import { eventually } from './engine-contract.js'
import { createProcessLab, type ProcessLab } from './process-lab.js'

jest.setTimeout(400_000)

/** A guest without KVM on a busy machine. */
const GUEST_MS = 120_000

describe('a real Linux in a node', () => {
  let lab: ProcessLab
  let engine: NodeEngine
  let image: Image
  beforeAll(async () => {
    lab = await createProcessLab()
    image = await provideImageFiles(lab.layout, 'tiny')
    engine = await lab.open()
  })
  afterAll(() => lab.close())

  it('takes its name and password from the seed, types on both consoles, and shuts down when asked', async () => {
    const spec = await specFrom(image)
    await engine.ensureNode(spec, 'make').wait()
    await engine.start(spec, 'start').wait()
    await eventually(async () => (await serial()).includes('tiny-test login:'), 'the login', GUEST_MS)
    const target = await engine.console(spec.id, 'serial')
    if (target.via !== 'unix') throw new Error('a process has unix sockets')
    const line = connect(target.path)
    line.write('student\r')
    await eventually(async () => (await serial()).includes('Password:'), 'the question for the password', GUEST_MS)
    line.write('correct horse\r')
    await eventually(async () => (await serial()).includes(':~$ '), 'the prompt of the shell', GUEST_MS)
    line.write('echo $((6 * 7)) on $(hostname)\r')
    await eventually(async () => (await serial()).includes('42 on tiny-test'), 'the answer of the shell', GUEST_MS)

    // The guest loads its keyboard's driver after its first login prompt: what is typed before is nobody's.
    line.write('while ! grep -q kbd /proc/bus/input/devices; do sleep 0.1; done; echo keyboard "is here"\r')
    await eventually(async () => (await serial()).includes('keyboard is here'), 'the keyboard of the guest', GUEST_MS)
    for (const keys of keysForText('Typed_on:the (screen)')) await engine.sendKeys(spec.id, keys)
    line.write('sudo cat /dev/vcs1 | tr -d "\\n"\r')
    await eventually(
      async () => (await serial()).includes('login: Typed_on:the (screen)'),
      'the typed text on the screen',
      GUEST_MS,
    )
    line.destroy()

    const result = await engine.stop(spec.id, { key: 'stop', graceMs: GUEST_MS }).wait()
    expect(result).toMatchObject({ how: 'guest-shutdown', node: { phase: 'stopped', ended: { how: 'asked' } } })

    async function serial(): Promise<string> {
      return (await engine.serialTail(spec.id, 100_000)).toString('utf8')
    }
  })
})

async function specFrom(image: Image): Promise<NodeSpec> {
  const id = nodeIdSchema.parse(randomUUID())
  const base = { file: image.file, virtualSizeBytes: image.virtualSizeBytes, fingerprint: image.fingerprint }
  return specOver(base, id, {
    memoryMib: image.minimumMemoryMib,
    directBoot: image.directBoot,
    firmware: image.firmware,
    seed: {
      instanceId: id,
      hostName: 'tiny-test',
      user: 'student',
      passwordHash: await hashGuestPassword('correct horse'),
      sshKeys: [],
    },
  })
}
