import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rename, rm, stat, writeFile, chmod } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { guacdAnswers } from '../../src/consoles/guacamole/guacd.js'
import { untilSeen } from './until.js'

/**
 * A real guacd with VNC. Debian 11 was the last release that packages it (1.3.0), so its packages and what they need are
 * fetched by apt from the mirror that this machine uses, unpacked beside the system and run by their own loader. Nothing
 * is installed, no right is needed beyond a writable /tmp, and Debian 12 and 13 do alike. Made once, kept in /tmp.
 */
export interface RealGuacd {
  readonly host: string
  readonly port: number
  /** Its processes stop, and the kernel goes on taking connections for them. */
  freeze(): void
  thaw(): void
  /** All of it, at once. */
  kill(): Promise<void>
  /** Again, on the same port. */
  start(): Promise<void>
}

const run = promisify(execFile)
const FOLDER = '/tmp/sandlabx-test-guacd-1.3.0'
const SUITE = 'bullseye'
const PACKAGES = ['guacd', 'libguac-client-vnc0']
/** Of what they need, what holds libraries; shells and package tools are of no use. */
const OF_USE = /^(guacd|lib.+|zlib1g)_/
/** As in Compose: a user that is not the backend's. */
const ANOTHER_USER = 65_534

export async function startRealGuacd(): Promise<RealGuacd> {
  const root = await unpackedGuacd()
  const port = await freePort()
  const host = '127.0.0.1'
  let child: ChildProcess | undefined
  const signal = (name: NodeJS.Signals) => void (child?.pid !== undefined && process.kill(-child.pid, name))
  const guacd: RealGuacd = {
    host,
    port,
    freeze: () => signal('SIGSTOP'),
    thaw: () => signal('SIGCONT'),
    async kill() {
      const ending = child
      if (!ending || ending.exitCode !== null || ending.signalCode !== null) return
      const ended = new Promise((resolve) => ending.once('exit', resolve))
      signal('SIGKILL') // of the whole group: it has a process for each connection
      await ended
      child = undefined
    },
    async start() {
      child = spawnGuacd(root, host, port)
      await untilSeen('guacd to answer', () => guacdAnswers({ host, port }), 20_000)
    },
  }
  await guacd.start()
  return guacd
}

function spawnGuacd(root: string, host: string, port: number): ChildProcess {
  const libraries = ['usr/lib/x86_64-linux-gnu', 'lib/x86_64-linux-gnu', 'usr/lib/x86_64-linux-gnu/pulseaudio']
  const paths = libraries.map((folder) => join(root, folder)).join(':')
  const loader = join(root, 'lib/x86_64-linux-gnu/ld-linux-x86-64.so.2')
  const program = ['--library-path', paths, join(root, 'usr/sbin/guacd')]
  return spawn(loader, [...program, '-b', host, '-l', String(port), '-L', 'info', '-f'], {
    cwd: '/',
    env: { PATH: '/usr/bin:/bin', HOME: '/', LC_ALL: 'C.UTF-8' },
    detached: true,
    stdio: 'ignore',
    ...(process.getuid?.() === 0 ? { uid: ANOTHER_USER, gid: ANOTHER_USER } : {}),
  })
}

async function unpackedGuacd(): Promise<string> {
  if (await exists(FOLDER)) return FOLDER
  const work = await mkdtemp(`${FOLDER}.`)
  await chmod(work, 0o755)
  try {
    await fetchAndUnpack(work)
    // Two suites may have made it at once; either is as good.
    await rename(join(work, 'root'), FOLDER).catch(async (error: unknown) => {
      if (!(await exists(FOLDER))) throw error
    })
  } finally {
    await rm(work, { recursive: true, force: true })
  }
  return FOLDER
}

async function fetchAndUnpack(work: string): Promise<void> {
  for (const folder of ['lists/partial', 'cache/archives/partial', 'root']) {
    await mkdir(join(work, folder), { recursive: true })
  }
  // No installed package: so that everything down to the C library is fetched.
  await writeFile(join(work, 'status'), '')
  const keys = '/usr/share/keyrings/debian-archive-keyring.gpg'
  await writeFile(join(work, 'sources.list'), `deb [signed-by=${keys}] ${await debianMirror()} ${SUITE} main\n`)
  const apt = (...args: string[]) => run('apt-get', [...aptOptions(work), ...args], { maxBuffer: 16 * 1024 * 1024 })
  await apt('update')
  await apt('install', '-y', '--no-install-recommends', '--download-only', ...PACKAGES)
  const archives = join(work, 'cache/archives')
  const wanted = (await readdir(archives)).filter((name) => OF_USE.test(name) && name.endsWith('.deb'))
  for (const name of wanted) await run('dpkg-deb', ['-x', join(archives, name), join(work, 'root')])
}

function aptOptions(work: string): string[] {
  const settings = {
    'Dir::Etc::sourcelist': join(work, 'sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::State::lists': join(work, 'lists'),
    'Dir::State::status': join(work, 'status'),
    'Dir::Cache': join(work, 'cache'),
    'Debug::NoLocking': 'true',
    'APT::Sandbox::User': 'root',
    'Acquire::Retries': '3',
    // An old release is no longer signed anew; its signature still must be right.
    'Acquire::Check-Valid-Until': 'false',
  }
  return ['-qq', ...Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])]
}

/** The Debian mirror of this machine's own apt. */
async function debianMirror(): Promise<string> {
  const { stdout } = await run('apt-get', ['indextargets', '--format', '$(REPO_URI) $(SUITE)', 'Created-By: Packages'])
  const lines = stdout.split('\n').map((line) => line.split(' '))
  const uri = lines.find(([address = '', suite = '']) => /debian/.test(address) && !/security|updates/.test(suite))?.[0]
  if (!uri) throw new Error('guacd for the tests comes from Debian 11, and apt here knows no Debian mirror')
  return uri
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
