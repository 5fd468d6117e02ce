import { randomUUID } from 'node:crypto'
import { access, chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { sshKeySchema } from '../../src/domain/node.js'
import { runCommand } from '../../src/system/command.js'
import { seedFiles, type Seed } from '../../src/system/seed-text.js'

/** The script that our guests run before their init, here by the same busybox over a folder. */
const SCRIPT = fileURLToPath(new URL('../../src/images/recipes/initrd/apply-seed', import.meta.url))
const HASH = '$6$rounds=5000$sa/lt.1$' + 'a'.repeat(86)

let folder: string
let root: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sandlabx-guest-'))
  root = join(folder, 'root')
  for (const path of ['etc/skel', 'etc/sudoers.d', 'etc/ssh', 'home', 'bin', 'usr/lib/sandlabx']) {
    await mkdir(join(root, path), { recursive: true })
  }
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/bash\nnews:x:9:9:n:/n:/bin/false\n')
  await writeFile(join(root, 'etc/group'), 'root:x:0:\nsudo:x:27:eve\nadm:x:4:\nstaff:x:50:\nx:x:1000:\n')
  await writeFile(join(root, 'etc/shadow'), 'root:*:19000:0:99999:7:::\n')
  await chmod(join(root, 'etc/shadow'), 0o640)
  await writeFile(join(root, 'etc/gshadow'), 'sudo:*::eve\n')
  await writeFile(join(root, 'etc/hosts'), '127.0.0.1\tlocalhost\n127.0.1.1\tdebian\n')
  await writeFile(join(root, 'etc/hostname'), 'debian\n')
  await writeFile(join(root, 'etc/machine-id'), '')
  await writeFile(join(root, 'etc/skel/.profile'), 'hello\n')
  await writeFile(join(root, 'bin/bash'), '')
  await chmod(join(root, 'bin/bash'), 0o755)
  await writeFile(join(root, 'usr/lib/sandlabx/issue'), 'Sign in as @USER@.\n')
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const base = (): Seed => ({
  instanceId: randomUUID(),
  hostName: 'web-1',
  user: 'ada',
  passwordHash: HASH,
  sshKeys: [],
})

async function apply(seed: Seed): Promise<void> {
  const medium = await mkdtemp(join(folder, 'seed-'))
  for (const [name, text] of Object.entries(seedFiles(seed))) await writeFile(join(medium, name), text)
  // All of the shell's own tools come from busybox, as in the initial RAM disk.
  await runCommand('/bin/busybox', ['sh', SCRIPT, medium, root], { timeoutMs: 20_000, env: { PATH: '/nonexistent' } })
}

const lineOf = async (file: string, name: string) =>
  (await readFile(join(root, 'etc', file), 'utf8')).split('\n').find((line) => line.startsWith(`${name}:`))
const text = (path: string) => readFile(join(root, path), 'utf8')
const exists = (path: string) =>
  access(join(root, path)).then(
    () => true,
    () => false,
  )

describe('what a guest makes of its seed', () => {
  it('is an account that may use sudo, with a home and the password', async () => {
    await apply(base())
    expect(await lineOf('passwd', 'ada')).toBe('ada:x:1001:1001:ada:/home/ada:/bin/bash') // 1000 is a group's
    expect(await lineOf('group', 'ada')).toBe('ada:x:1001:')
    expect(await lineOf('group', 'sudo')).toBe('sudo:x:27:eve,ada')
    expect(await lineOf('gshadow', 'sudo')).toBe('sudo:*::eve,ada')
    expect(await lineOf('shadow', 'ada')).toBe(`ada:${HASH}:19000:0:99999:7:::`)
    expect((await stat(join(root, 'etc/shadow'))).mode & 0o777).toBe(0o640)
    expect(await text('etc/sudoers.d/90-sandlabx')).toBe('ada ALL=(ALL) NOPASSWD:ALL\n')
    expect((await stat(join(root, 'etc/sudoers.d/90-sandlabx'))).mode & 0o777).toBe(0o440)
    expect(await text('home/ada/.profile')).toBe('hello\n')
    expect((await stat(join(root, 'home/ada'))).mode & 0o777).toBe(0o700)
    expect(await text('etc/issue')).toBe('Sign in as ada.\n')
  })

  it('is the host name, also in /etc/hosts', async () => {
    await apply(base())
    expect(await text('etc/hostname')).toBe('web-1\n')
    expect(await text('etc/hosts')).toBe('127.0.0.1\tlocalhost\n127.0.1.1\tweb-1\n')
  })

  it('is a machine id of its own and no SSH host key of another', async () => {
    await writeFile(join(root, 'etc/ssh/ssh_host_ed25519_key'), 'from the image')
    await apply(base())
    expect(await text('etc/machine-id')).toMatch(/^[0-9a-f]{32}\n$/)
    expect(await readdir(join(root, 'etc/ssh'))).toEqual([])
  })

  it.each([
    'ssh-ed25519 AAAA',
    'ssh-rsa AAAAB3+/== it\'s "quoted" \\ back\\slash \\u0041 \\" end\\',
    'ssh-ed25519 AAAA $(touch /tmp/x) `id` ${HOME} && ; | > * ? # : - [a] {b}',
    'ssh-ed25519 AAAA é ü 漢字 😀 \u00a0 \u2028',
    'ssh-ed25519 AAAA   spaces   ',
  ])('is the SSH key %j to the letter', async (key) => {
    expect(sshKeySchema.safeParse(key).success).toBe(true)
    await apply({ ...base(), sshKeys: [key, 'ssh-ed25519 BBBB second'] })
    expect(await text('home/ada/.ssh/authorized_keys')).toBe(`${key}\nssh-ed25519 BBBB second\n`)
    expect((await stat(join(root, 'home/ada/.ssh'))).mode & 0o777).toBe(0o700)
  })

  it('drops control characters from a key, which may then be no other line', async () => {
    await apply({ ...base(), sshKeys: ['ssh-ed25519 AAAA a\nssh-ed25519 EVIL\r\x1b[2J\x7f'] })
    expect(await text('home/ada/.ssh/authorized_keys')).toBe('ssh-ed25519 AAAA assh-ed25519 EVIL[2J\n')
  })

  it('is a locked account without a password', async () => {
    await apply({ ...base(), passwordHash: null })
    expect(await lineOf('shadow', 'ada')).toBe('ada:!:19000:0:99999:7:::')
  })

  it.each([
    ['a hash that would be two fields', { passwordHash: 'x:0:0' }, 'shadow', 'ada:!:19000:0:99999:7:::'],
    ['a user that is no user name', { user: '../x:0' }, 'passwd', undefined],
    ['a user in capitals', { user: 'ROOT' }, 'passwd', undefined],
  ])('ignores %s', async (_what, changes, file, expected) => {
    await apply({ ...base(), ...changes })
    expect(await lineOf(file, 'ada')).toBe(expected)
    expect((await text('etc/passwd')).split('\n').length).toBeLessThanOrEqual(4)
  })

  it('ignores a host name that is none', async () => {
    await apply({ ...base(), hostName: 'a b\n127.0.0.1 evil' })
    expect(await text('etc/hostname')).toBe('debian\n')
  })

  it('opens the account of root when the user is root', async () => {
    await apply({ ...base(), user: 'root' })
    expect(await lineOf('shadow', 'root')).toBe(`root:${HASH}:19000:0:99999:7:::`)
    expect(await readdir(join(root, 'home'))).toEqual([])
  })

  it('puts a user into the group that has its name already', async () => {
    await apply({ ...base(), user: 'staff' })
    expect(await lineOf('passwd', 'staff')).toBe('staff:x:1001:50:staff:/home/staff:/bin/bash')
  })

  it('is done once: what was changed in the guest since stays', async () => {
    const seed = { ...base(), sshKeys: ['ssh-ed25519 AAAA'] }
    await apply(seed)
    const machineId = await text('etc/machine-id')
    await writeFile(join(root, 'etc/shadow'), 'ada:changed:1::::::\n')
    await rm(join(root, 'home/ada/.ssh'), { recursive: true })
    await apply({ ...seed, passwordHash: null })
    expect(await lineOf('shadow', 'ada')).toBe('ada:changed:1::::::')
    expect(await exists('home/ada/.ssh')).toBe(false)
    expect(await text('etc/machine-id')).toBe(machineId)
  })

  it('is done again for another instance, with the same account', async () => {
    await apply(base())
    const machineId = await text('etc/machine-id')
    await apply({ ...base(), passwordHash: null })
    expect((await text('etc/passwd')).match(/^ada:/gm)).toHaveLength(1)
    expect(await lineOf('group', 'sudo')).toBe('sudo:x:27:eve,ada')
    expect(await lineOf('shadow', 'ada')).toBe('ada:!:19000:0:99999:7:::')
    expect(await text('etc/machine-id')).not.toBe(machineId)
  })

  it('starts again when the first boot was cut off', async () => {
    const seed = base()
    await apply(seed)
    await rm(join(root, 'var/lib/sandlabx/meta-data'))
    await rm(join(root, 'var/lib/sandlabx/instance-id'))
    await writeFile(join(root, 'etc/shadow'), 'ada:!:19000:0:99999:7:::\n')
    await apply(seed)
    expect(await lineOf('shadow', 'ada')).toBe(`ada:${HASH}:19000:0:99999:7:::`)
    expect((await text('etc/passwd')).match(/^ada:/gm)).toHaveLength(1)
  })

  it('follows a new host name, unless somebody chose another in the guest', async () => {
    const seed = base()
    await apply(seed)
    await apply({ ...seed, hostName: 'web-2' })
    expect(await text('etc/hostname')).toBe('web-2\n')
    await writeFile(join(root, 'etc/hostname'), 'mine\n')
    await apply({ ...seed, hostName: 'web-3' })
    expect(await text('etc/hostname')).toBe('mine\n')
  })

  it('leaves no file of its own between those of the guest', async () => {
    await apply(base())
    const names = await readdir(root, { recursive: true })
    expect(names.filter((name) => name.endsWith('.sandlabx'))).toEqual([])
    expect(await readdir(join(root, 'var/lib/sandlabx'))).toEqual(['host-name', 'instance-id', 'meta-data'])
  })
})
