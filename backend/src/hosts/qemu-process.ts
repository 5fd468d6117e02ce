import { spawn, type ChildProcess } from 'node:child_process'
import { open, writeFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { childEnvironment } from '../system/command-environment.js'
import { missingTool } from '../system/debian-packages.js'
import type { Identity } from '../system/identity.js'
import { separated, type Separation } from '../system/network-namespace.js'
import { EngineError } from './engine.js'
import { writeLaunchRecord } from './launch-record.js'
import { offerToOutOfMemoryKiller, readProcess, type ProcessFacts } from './processes.js'
import type { Run } from './run.js'

/** QEMU's process, apart from ours and from the host's network. It runs, or `failed` tells why it does not. */
export async function spawnQemu(
  { binary, dataDir, separation }: { binary: string; dataDir: string; separation: Separation },
  run: Run,
  { user, internet }: { user: Identity | undefined; internet: boolean },
): Promise<ChildProcess> {
  const { program, args, identity } = separated(separation, {
    program: binary,
    args: run.launch.args,
    identity: user,
  })
  const log = await open(run.paths.qemuLog, 'a', 0o600)
  try {
    // Detached: a session of its own, so that neither our terminal's Ctrl-C nor our end reaches it.
    const child = spawn(program, args, {
      cwd: dataDir,
      env: childEnvironment(),
      detached: true,
      // With internet a fourth, of which only the end is of use: egress.ts.
      stdio: ['ignore', log.fd, log.fd, ...(internet ? ['pipe' as const] : [])],
      ...(identity ? { uid: identity.uid, gid: identity.gid } : {}),
    })
    child.on('error', () => undefined) // told by failed(), and by the missing pid
    child.unref()
    return child
  } finally {
    await log.close()
  }
}

/** Takes down which process it is; resolves when it has become QEMU. */
export async function recordProcess(run: Run): Promise<void> {
  const pid = run.child?.pid
  const facts = pid === undefined ? null : await becomeQemu(pid)
  if (!facts) return // it has ended already, or was never there: failed() says why
  run.launch = { ...run.launch, process: { pid: facts.pid, startTime: facts.startTime, exe: facts.exe } }
  await Promise.all([
    writeLaunchRecord(run.paths.launch, run.launch),
    writeFile(run.paths.pid, `${facts.pid}\n`),
    offerToOutOfMemoryKiller(facts.pid),
  ])
}

/** What the process is once those that set it apart (network-namespace.ts) have become QEMU: a few milliseconds. */
async function becomeQemu(pid: number): Promise<ProcessFacts | null> {
  for (;;) {
    const facts = await readProcess(pid)
    if (!facts || !/\/(unshare|setpriv)$/.test(facts.exe ?? '')) return facts
    await delay(1)
  }
}

/** Rejects when the child could not be started, or ends. */
export function failed(child: ChildProcess): Promise<never> {
  return new Promise((_, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      reject(error.code === 'ENOENT' ? missingTool(child.spawnfile, error) : error)
    })
    child.once('exit', (code, signal) => {
      reject(new EngineError('engine', `QEMU ended at once (${signal ?? `exit code ${code}`}).`))
    })
  })
}

/** The handle is our child's: no pid that was given to somebody else can be hit. */
export async function endChild(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  child.kill('SIGKILL')
  await exited
}
