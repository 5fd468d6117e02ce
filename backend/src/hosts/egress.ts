import { spawn, type ChildProcess } from 'node:child_process'
import { constants } from 'node:fs'
import { access, open, writeFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { delimiter } from 'node:path'
import type { Socket } from 'node:net'
import { childEnvironment } from '../system/command-environment.js'
import type { Identity } from '../system/identity.js'
import { canBindInside, ownerOf, runInside, type Inside, type Separation } from '../system/network-namespace.js'
import { closedNetworks, closingRoutes, WAY_OUT } from './egress-routes.js'
import { EngineError, type EngineIsolation, type NodeSpec } from './engine.js'
import type { Run } from './run.js'
import { newestLines, readLogTail } from './run-logs.js'

const READY_MS = 10_000
const TUN = '/dev/net/tun'
const RESOLV_CONF = '/etc/resolv.conf'

export function wantsInternet(spec: Pick<NodeSpec, 'nics'>): boolean {
  return spec.nics.some((nic) => nic.internet)
}

/** Whether nodes can be given a way to the internet that leads nowhere else; else why not and what to do. */
export async function findEgress(separation: Separation, worker?: Identity): Promise<EngineIsolation['internet']> {
  if (separation === 'none') {
    return no('QEMU can not be kept out of the network of this host: neither root nor user namespaces are to be had.')
  }
  const tools: Record<string, string> = { slirp4netns: 'slirp4netns', ip: 'iproute2', nsenter: 'util-linux' }
  for (const [tool, debianPackage] of Object.entries(tools)) {
    if (!(await isInstalled(tool)))
      return no(`${tool} is missing. Install it with \`apt-get install ${debianPackage}\`.`)
  }
  const usable = await access(TUN, constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  )
  if (!usable) return no(`${TUN} can not be opened. Load it with \`modprobe tun\`, then start SandLabX again.`)
  if (await canBindInside(separation, RESOLV_CONF, worker)) return { ok: true }
  return no('QEMU can not be given a resolver of its own: this container may not mount. See compose.internet.yml.')
}

/**
 * Opens the internet, and nothing else, to a QEMU in a network of its own whose guest is still held: first the networks
 * that are no guest's business are closed by routes, then a user-mode network (slirp4netns) outside gives it a way out.
 * It ends with QEMU, whose end it sees at the other end of `lifeline`. Throws EngineError `unsupported` with the reason.
 */
export async function openEgress(
  { separation }: { separation: Separation },
  run: Run,
  lifeline: Socket,
  user: Identity | undefined,
): Promise<void> {
  const pid = run.launch.process?.pid
  if (pid === undefined) throw new EngineError('engine', 'QEMU ended before it had a network.')
  const inside: Inside = { way: separation, pid, identity: user }
  const resolver = `${run.paths.dir}/resolv.conf`
  await writeFile(resolver, `nameserver ${WAY_OUT.resolver}\n`, { mode: 0o444 })
  try {
    await runInside(inside, 'ip', ['-batch', '-'], closingRoutes(closedNetworks(networkInterfaces())))
    // QEMU answers the guest's questions by asking the server that this file names.
    await runInside(inside, 'mount', ['--bind', resolver, RESOLV_CONF])
    await startWayOut(run, inside, lifeline)
  } catch (cause) {
    const said = newestLines((await readLogTail(`${run.paths.dir}/egress.log`, 4096)).toString('utf8'), 2)
    throw new EngineError('unsupported', `It could not be given a way to the internet. ${said}`, { cause })
  }
}

async function startWayOut(run: Run, inside: Inside, lifeline: Socket): Promise<void> {
  const log = await open(`${run.paths.dir}/egress.log`, 'a', 0o600)
  try {
    const identity = ownerOf(inside)
    const child = spawn('slirp4netns', wayOutArguments(inside.pid), {
      cwd: '/',
      env: childEnvironment(),
      detached: true, // it lives as long as QEMU, not as long as we
      stdio: ['ignore', 'ignore', log.fd, lifeline, 'pipe'],
      ...(identity ? { uid: identity.uid, gid: identity.gid } : {}),
    })
    child.unref()
    await ready(child)
  } finally {
    await log.close()
  }
}

function wayOutArguments(pid: number): string[] {
  const confined = ['--disable-host-loopback', '--enable-sandbox', '--enable-seccomp']
  const link = ['--configure', '--mtu=65520', `--cidr=${WAY_OUT.network}`]
  return [...link, ...confined, '--exit-fd=3', '--ready-fd=4', String(pid), 'tap0']
}

/** slirp4netns writes `1` once the network is up. */
function ready(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    const said = child.stdio[4] as Socket // made as a pipe above
    const timer = setTimeout(() => settle(new Error(`slirp4netns was not ready in ${READY_MS} ms`)), READY_MS)
    const settle = (failure?: Error) => {
      clearTimeout(timer)
      said.destroy()
      if (!failure) return resolve()
      child.kill('SIGKILL')
      reject(failure)
    }
    said.once('data', () => settle())
    said.once('error', settle)
    child.once('error', settle)
    child.once('exit', (code) => settle(new Error(`slirp4netns ended with exit code ${code}`)))
  })
}

async function isInstalled(tool: string): Promise<boolean> {
  const folders = (childEnvironment()['PATH'] ?? '').split(delimiter)
  const found = await Promise.all(
    folders.map((folder) =>
      access(`${folder}/${tool}`, constants.X_OK).then(
        () => true,
        () => false,
      ),
    ),
  )
  return found.includes(true)
}

function no(reason: string): EngineIsolation['internet'] {
  return { ok: false, reason: `A node with internet would reach this machine and its network. ${reason}` }
}
