import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { nodeIdSchema } from '../../src/domain/ids.js'
import type { Image } from '../../src/domain/image.js'
import { layoutOf } from '../../src/domain/layout.js'
import type { NodeEngine, NodeSpec } from '../../src/hosts/engine.js'
import { createProcessEngine } from '../../src/hosts/process-engine.js'
import { hashGuestPassword } from '../../src/system/crypt-password.js'
import { createLog } from '../../src/system/log.js'
import { makeCloudDisk, ROOT_PASSWORD } from '../support/cloud-disk.js'
import { about, importImage, openImageRoomAt, testOperation } from '../support/image-room.js'
import { specOver } from '../support/node-spec.js'
import { openTerminal, type GuestTerminal } from './guest-terminal.js'
import { qemusIn } from './process-lab.js'

const MINUTES = 60_000
const GIB = 1024 ** 3
const PASSWORD = `o'no "1$HOME`
const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB7 "ada" \\o/ $(reboot) é 😀'

let dataDir: string
let room: Awaited<ReturnType<typeof openImageRoomAt>>
let engine: NodeEngine
let disk: string
const terminals: GuestTerminal[] = []

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'sbx-'))
  const layout = layoutOf(dataDir)
  for (const path of [layout.images, layout.overlays, layout.state, layout.run]) await mkdir(path, { recursive: true })
  room = await openImageRoomAt(layout)
  engine = await createProcessEngine({ layout, dataDir, log: createLog('silent'), accelerator: 'tcg' })
  disk = await makeCloudDisk(dataDir)
}, 16 * MINUTES)

afterAll(async () => {
  for (const terminal of terminals) terminal.close()
  await engine?.close()
  for (const pid of qemusIn(dataDir)) process.kill(pid, 'SIGKILL')
  await room?.close()
  await rm(dataDir, { recursive: true, force: true })
})

describe('an image with a boot loader, partitions and cloud-init of its own, as the public ones are', () => {
  it(
    'comes by BIOS to a login with the account, the name and the keys of its seed, and with all of its disk',
    async () => {
      const image = await imported('cloud-bios', 'bios')
      const spec = await specFrom(image)
      spec.seed = {
        instanceId: spec.id,
        hostName: 'web-1',
        user: 'ada',
        passwordHash: await hashGuestPassword(PASSWORD),
        sshKeys: [KEY],
      }
      const terminal = await started(spec)
      await terminal.waitFor(/web-1 login: $/, 8 * MINUTES)
      terminal.type('ada\r')
      await terminal.waitFor(/Password: $/)
      terminal.type(`${PASSWORD}\r`)
      await terminal.waitFor(/[$#] $/)

      expect(await terminal.run('id -un; hostname')).toBe('ada\nweb-1')
      expect(await terminal.run('tail -n 1 ~/.ssh/authorized_keys')).toBe(KEY)
      expect(await terminal.run('stat -c "%a %U" ~/.ssh ~/.ssh/authorized_keys')).toBe('700 ada\n600 ada')
      expect(await terminal.run('sudo id -u')).toBe('0')
      expect(await terminal.run('getent hosts web-1')).toMatch(/^127\.0\.1\.1\s+web-1/)
      const kib = Number(await terminal.run("df -k / | awk 'NR==2 { print $2 }'"))
      expect(kib * 1024).toBeGreaterThan(0.95 * spec.disks[0]!.sizeBytes - 18 * 1024 ** 2)
      expect(await terminal.run('ip -4 -o addr show dev eth0 | grep -o 10.0.2.15')).toBe('10.0.2.15')
      // What cloud-init says of itself.
      const result = await terminal.run('cat /run/cloud-init/result.json')
      expect(JSON.parse(result)).toMatchObject({
        v1: { datasource: expect.stringMatching(/^DataSourceNoCloud/), errors: [] },
      })
      await stop(spec, terminal)
    },
    12 * MINUTES,
  )

  it(
    'comes by UEFI to a login',
    async () => {
      const spec = await specFrom(await imported('cloud-uefi', 'uefi'))
      const terminal = await started(spec)
      await terminal.signIn('root', ROOT_PASSWORD)
      expect(await terminal.run('ls -d /sys/firmware/efi')).toBe('/sys/firmware/efi')
      await stop(spec, terminal)
    },
    12 * MINUTES,
  )
})

function imported(id: string, firmware: Image['firmware']): Promise<Image> {
  return importImage({
    ...room,
    source: { path: disk, consume: false },
    about: about(id, { firmware, cloudInit: true }),
    op: testOperation(),
  })
}

/** Without a seed; the disk is twice as large as the image's. */
async function specFrom(image: Image): Promise<NodeSpec> {
  const { file, fingerprint, firmware } = image
  const id = nodeIdSchema.parse(randomUUID())
  return specOver({ file, fingerprint, virtualSizeBytes: 3 * GIB }, id, { memoryMib: 512, firmware })
}

async function started(spec: NodeSpec): Promise<GuestTerminal> {
  await engine.ensureNode(spec, `make-${spec.id}`).wait()
  await engine.start(spec, randomUUID()).wait()
  const target = await engine.console(spec.id, 'serial')
  if (target.via !== 'unix') throw new Error('the console of a process is a unix socket')
  const terminal = await openTerminal(target.path)
  terminals.push(terminal)
  return terminal
}

async function stop(spec: NodeSpec, terminal: GuestTerminal): Promise<void> {
  terminal.close()
  await engine.stop(spec.id, { key: randomUUID(), graceMs: 0 }).wait()
}
