import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { nodeIdSchema } from '../../src/domain/ids.js'
import type { Image } from '../../src/domain/image.js'
import { imageFile, layoutOf, overlayFileName, type Layout } from '../../src/domain/layout.js'
import { GIB } from '../../src/domain/units.js'
import type { NodeEngine, NodeSpec } from '../../src/hosts/engine.js'
import { macOf } from '../../src/hosts/machine.js'
import { createProcessEngine } from '../../src/hosts/process-engine.js'
import { openStore, type Store } from '../../src/state/store.js'
import { hashGuestPassword } from '../../src/system/crypt-password.js'
import { createLog } from '../../src/system/log.js'
import { provideImage, type StarterId } from '../support/built-images.js'
import { openTerminal, type GuestTerminal } from './guest-terminal.js'
import { qemusIn } from './process-lab.js'

const PASSWORD = `o'no "1$HOME`
const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB7 "ada" \\o/ $(reboot) é 😀'
const DISK_BYTES = 6 * GIB
const MINUTES = 60_000

interface Expected {
  id: StarterId
  memoryMib: number
  /** Far above what it takes alone, because other suites share the processors; bench/boot.ts measures. */
  bootMs: number
  /** Finds out how it is with the SSH host keys, once its services are up. */
  hostKeys: string | null
}

const IMAGES: Expected[] = [
  { id: 'tiny', memoryMib: 128, bootMs: 40_000, hostKeys: null },
  {
    id: 'debian-12',
    memoryMib: 256,
    bootMs: 60_000,
    hostKeys: 'until [ -s /etc/ssh/ssh_host_ecdsa_key.pub ]; do sleep 1; done; cat /etc/ssh/ssh_host_ed25519_key.pub',
  },
  {
    id: 'debian-12-systemd',
    memoryMib: 384,
    bootMs: 150_000,
    hostKeys: 'sudo /usr/lib/sandlabx/ssh-host-keys; cat /etc/ssh/ssh_host_ed25519_key.pub',
  },
]

let dataDir: string
let layout: Layout
let store: Store
let engine: NodeEngine

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'sbx-'))
  layout = layoutOf(dataDir)
  for (const path of [layout.images, layout.overlays, layout.state, layout.run]) await mkdir(path, { recursive: true })
  const log = createLog('silent')
  store = (await openStore({ layout, log })).store
  engine = await createProcessEngine({ layout, dataDir, log, accelerator: 'tcg' })
})

afterAll(async () => {
  await engine.close()
  for (const pid of qemusIn(dataDir)) process.kill(pid, 'SIGKILL')
  await store.close()
  await rm(dataDir, { recursive: true, force: true })
})

describe.each(IMAGES)('a node from $id', ({ id, memoryMib, bootMs, hostKeys }) => {
  let image: Image
  let spec: NodeSpec
  let terminal: GuestTerminal
  const kept: Record<string, string> = {}

  beforeAll(async () => {
    image = await provideImage(layout, store, id)
    spec = await specOf(image, memoryMib)
    await engine.ensureNode(spec, `make-${spec.id}`).wait()
  }, 12 * MINUTES)

  afterAll(async () => {
    terminal?.close()
    await engine.stop(spec.id, { key: randomUUID(), graceMs: 0 }).wait()
    await engine.remove(spec.id, { key: randomUUID(), disks: 'delete' }).wait()
  })

  async function start(): Promise<number> {
    const begun = Date.now()
    await engine.start(spec, randomUUID()).wait()
    const target = await engine.console(spec.id, 'serial')
    if (target.via !== 'unix') throw new Error('the console of a process is a unix socket')
    terminal = await openTerminal(target.path)
    await terminal.signIn(spec.seed?.user ?? '', PASSWORD)
    return Date.now() - begun
  }

  it('has read-only files of a moderate size', async () => {
    const files = [image.file, ...Object.keys(image.bootFiles)].map((name) => stat(imageFile(layout, name)))
    for (const { mode } of await Promise.all(files)) expect(mode & 0o777).toBe(0o444)
    expect(image.fingerprint.sizeBytes).toBeLessThan(130e6)
    expect(Object.keys(image.bootFiles)).toEqual([`${id}.vmlinuz`, `${id}.initrd`])
  })

  it(
    'comes to a login that takes the user and the password of the seed',
    async () => {
      const took = await start()
      process.stderr.write(`${id}: ${took} ms from start to a shell, first boot\n`)
      expect(took).toBeLessThan(bootMs)
      expect(await terminal.run('id -un')).toBe('ada')
    },
    5 * MINUTES,
  )

  it('has the host name, the SSH keys to the letter, and sudo without a password', async () => {
    expect(await terminal.run('hostname')).toBe('web-1')
    expect(await terminal.run('cat ~/.ssh/authorized_keys')).toBe(KEY)
    expect(await terminal.run('stat -c "%a %U" ~ ~/.ssh ~/.ssh/authorized_keys')).toBe('700 ada\n700 ada\n600 ada')
    expect(await terminal.run('sudo id -u')).toBe('0')
    expect(await terminal.run(`sudo sh -c 'echo "$1"' sh 'two  words'`)).toBe('two  words')
    expect(await terminal.run('getent hosts web-1 2>/dev/null || grep web-1 /etc/hosts')).toMatch(
      /^127\.0\.1\.1\s+web-1$/,
    )
  })

  it('has a file system as large as the disk of the node, soon after the prompt', async () => {
    const kib = "df -k / | awk 'NR==2 { print $2 }'"
    const least = Math.round((0.96 * DISK_BYTES) / 1024)
    await terminal.run(`until [ "$(${kib})" -gt ${least} ]; do sleep 1; done`)
    expect(Number(await terminal.run(kib))).toBeGreaterThan(least)
    expect(await terminal.run('dmesg 2>/dev/null || sudo dmesg | grep -ci "ext4.*error"')).not.toMatch(/^[1-9]/)
  })

  it('knows the size of the terminal', async () => {
    expect(await terminal.run('stty size')).toBe('40 120')
  })

  it('gets an address, reaches its gateway, and lets everybody ping', async () => {
    const address = 'ip -4 -o addr show dev eth0 2>/dev/null | grep -o "10.0.2.15"'
    expect(await terminal.run(`until ${address}; do sleep 1; done`)).toBe('10.0.2.15')
    expect(await terminal.run('ping -c 1 -W 5 10.0.2.2 | grep -o "1 packets received\\|1 received"')).toMatch(
      /received/,
    )
  })

  it('shows a login on the screen as well', async () => {
    expect(await terminal.run('until sudo cat /dev/vcs1 | grep -o "web-1 login:"; do sleep 1; done')).toBe(
      'web-1 login:',
    )
  })

  it(
    'keeps what was written, its identity and its keys over a shutdown by the power button',
    async () => {
      kept['machine'] = await terminal.run('cat /etc/machine-id 2>/dev/null')
      if (hostKeys) kept['key'] = await terminal.run(hostKeys)
      await terminal.run('echo kept > ~/kept; sudo touch /etc/changed-by-hand')
      terminal.close()
      const { how } = await engine.stop(spec.id, { key: randomUUID(), graceMs: 60_000 }).wait()
      expect(how).toBe('guest-shutdown')

      spec = { ...spec, generation: 2 }
      const took = await start()
      process.stderr.write(`${id}: ${took} ms from start to a shell, second boot\n`)
      expect(await terminal.run('cat ~/kept; ls /etc/changed-by-hand')).toBe('kept\n/etc/changed-by-hand')
      expect(await terminal.run('cat /etc/machine-id 2>/dev/null')).toBe(kept['machine'])
      if (hostKeys) expect(await terminal.run(hostKeys)).toBe(kept['key'])
      expect(await terminal.run('ls -d /home/*')).toBe('/home/ada')
    },
    6 * MINUTES,
  )

  it(
    'restarts when it is told to, in the same process',
    async () => {
      const { pid } = await engine.inspect(spec.id)
      terminal.type('sudo reboot\r')
      await terminal.signIn('ada', PASSWORD)
      expect(await terminal.run('cut -d. -f1 /proc/uptime')).toMatch(/^\d{1,2}$/)
      expect((await engine.inspect(spec.id)).pid).toBe(pid)
    },
    5 * MINUTES,
  )

  it(
    'follows a new name of the node, and is another guest for another instance',
    async () => {
      terminal.type('sudo poweroff\r')
      await endOf(spec)
      terminal.close()
      const seed = { ...seedOf(spec), hostName: 'web-2', instanceId: 'another', sshKeys: [] }
      spec = { ...spec, generation: 3, seed }
      await start()
      expect(await terminal.run('hostname')).toBe('web-2')
      expect(await terminal.run('cat ~/kept')).toBe('kept')
      if (kept['machine']) expect(await terminal.run('cat /etc/machine-id')).not.toBe(kept['machine'])
      if (hostKeys) expect(await terminal.run(hostKeys)).not.toBe(kept['key'])
    },
    6 * MINUTES,
  )
})

async function specOf(image: Image, memoryMib: number): Promise<NodeSpec> {
  const id = nodeIdSchema.parse(randomUUID())
  return {
    id,
    name: 'web-1',
    generation: 1,
    cpus: 1,
    memoryMib,
    base: { file: image.file, fingerprint: image.fingerprint },
    firmware: image.firmware,
    directBoot: image.directBoot,
    disks: [{ id: 'root', role: 'root', file: overlayFileName(id), sizeBytes: DISK_BYTES, readOnly: false }],
    nics: [{ mac: macOf(id), internet: false }],
    seed: {
      instanceId: id,
      hostName: 'web-1',
      user: 'ada',
      passwordHash: await hashGuestPassword(PASSWORD),
      sshKeys: [KEY],
    },
  }
}

function seedOf(spec: NodeSpec): NonNullable<NodeSpec['seed']> {
  if (!spec.seed) throw new Error('the node has no seed')
  return spec.seed
}

/** The guest has powered itself off. */
async function endOf(spec: NodeSpec): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      stop()
      reject(new Error('the guest did not power itself off'))
    }, MINUTES)
    const stop = engine.onChange((node) => {
      if (node.id !== spec.id || !node.ended) return
      clearTimeout(timer)
      stop()
      resolve()
    })
  })
}
