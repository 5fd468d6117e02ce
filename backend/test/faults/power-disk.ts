import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { access, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const DISK_BYTES = 1024 ** 3

/** A disk whose power can be cut: what its file system has not sent to it by then is lost, as on a real one. */
export interface PowerDisk {
  /** Where its file system is mounted. */
  path: string
  /** From here until `resume` nothing reaches the disk. */
  freeze(): void
  /** While frozen: a copy of what is on the disk. Returns its file. */
  copy(name: string): Promise<string>
  resume(): void
  remove(): Promise<void>
}

/** What a machine lacks for this, by the packages that have it. Throws naming them. */
export async function requirePowerTools(): Promise<void> {
  const needs: [string, string][] = [
    ['qemu-storage-daemon', 'install the package qemu-system-common'],
    ['mke2fs', 'install the package e2fsprogs'],
    ['losetup', 'install the package mount'],
  ]
  for (const [tool, advice] of needs) {
    await run('sh', ['-c', `command -v ${tool}`], { env: { PATH: `${process.env['PATH']}:/usr/sbin:/sbin` } }).catch(
      () => {
        throw new Error(`power cuts need ${tool}: ${advice}`)
      },
    )
  }
  for (const device of ['/dev/fuse', '/dev/loop-control']) {
    await access(device).catch(() => {
      throw new Error(`power cuts need ${device}: load the kernel module ${device === '/dev/fuse' ? 'fuse' : 'loop'}`)
    })
  }
  if (process.getuid?.() !== 0) throw new Error('power cuts mount file systems: run them as root')
}

/** ext4 on a loop device on a file that qemu-storage-daemon exports over FUSE, so that stopping that stops the disk. */
export async function makePowerDisk(room: string, options: string): Promise<PowerDisk> {
  await requirePowerTools()
  const [image, exported, path] = [join(room, 'disk.img'), join(room, 'exported'), join(room, 'mounted')]
  await run('truncate', ['-s', String(DISK_BYTES), image])
  await run('mke2fs', ['-q', '-t', 'ext4', '-E', 'lazy_itable_init=0,lazy_journal_init=0', image])
  await writeFile(exported, '')
  await mkdir(path)
  const daemon = await startDaemon(image, exported)
  const device = (await run('losetup', ['--find', '--show', exported])).stdout.trim()
  await run('mount', ['-o', options, device, path])
  return {
    path,
    freeze: () => void daemon.kill('SIGSTOP'),
    resume: () => void daemon.kill('SIGCONT'),
    async copy(name) {
      const target = join(room, name)
      await run('cp', ['--reflink=auto', '--sparse=always', image, target])
      return target
    },
    async remove() {
      daemon.kill('SIGCONT')
      await run('umount', [path])
      await run('losetup', ['-d', device])
      const ended = once(daemon, 'close')
      daemon.kill('SIGTERM')
      await ended
      for (const file of [image, exported]) await rm(file, { force: true })
      await rm(path, { recursive: true, force: true })
    },
  }
}

async function startDaemon(image: string, exported: string): Promise<ChildProcess> {
  const daemon = spawn(
    'qemu-storage-daemon',
    [
      '--blockdev',
      `driver=file,node-name=disk,filename=${image}`,
      '--export',
      `type=fuse,id=disk,node-name=disk,mountpoint=${exported},writable=on,allow-other=off`,
      '--chardev',
      'stdio,id=qmp',
      '--monitor',
      'chardev=qmp',
    ],
    { stdio: ['pipe', 'pipe', 'pipe'] },
  )
  let text = ''
  daemon.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()))
  // Its greeting comes when the exports are there.
  await Promise.race([
    once(daemon.stdout, 'data'),
    once(daemon, 'close').then(() => Promise.reject(new Error(`qemu-storage-daemon ended: ${text}`))),
  ])
  return daemon
}

/** Mounts a copy as the next start of the machine does, while `work` looks at it. */
export async function onCopy<T>(file: string, work: (path: string) => Promise<T>): Promise<T> {
  const path = `${file}.mounted`
  await mkdir(path)
  const device = (await run('losetup', ['--find', '--show', file])).stdout.trim()
  try {
    await run('mount', [device, path])
    try {
      return await work(path)
    } finally {
      await run('umount', [path])
    }
  } finally {
    await run('losetup', ['-d', device])
    await rm(path, { recursive: true, force: true })
    await rm(file, { force: true })
  }
}
