import { stat } from 'node:fs/promises'
import type { Identity } from '../system/identity.js'
import { chooseAccelerator, type AcceleratorChoice, type AcceleratorSetting } from './accelerator.js'
import { EngineError, type EngineIsolation, type EngineReport } from './engine.js'
import { readHostFigures } from './host-report.js'
import { engineErrorOf } from './jobs.js'
import type { Accelerator } from './machine.js'
import { createProbe, readQemuVersion, type ProbePlace, type QemuVersion } from './probe-boot.js'
import { LOCAL_HOST } from './run.js'

/** QEMU and the accelerator of this machine, found out once. */
export interface Host {
  report(): Promise<EngineReport>
  /** What starts need. Throws EngineError `engine` with the reason when no guest can run here. */
  ready(): Promise<{ version: QemuVersion; accelerator: Accelerator }>
  /** A user as QEMU needs it under an accelerator: with the group that may open /dev/kvm. */
  withAccelerator(user: Identity | undefined, accelerator: Accelerator): Identity | undefined
  /** Waits for a probe under way. */
  settle(): Promise<void>
}

export interface HostOptions {
  setting: AcceleratorSetting
  binary: string
  cwd: string
  /** Where the probe's disk may lie. */
  folder: string
  folderInQemu: string
  worker: Identity | undefined
  isolation: () => Promise<EngineIsolation>
}

interface Findings {
  version: QemuVersion | undefined
  choice: AcceleratorChoice
  /** Why nothing could be found out. */
  failure?: EngineError
}

/** After a failure (QEMU is being installed) a report tries again, but not on each request; a start always does. */
const RETRY_AFTER_MS = 10_000

export async function openHost(options: HostOptions): Promise<Host> {
  const kvmGroup = options.worker ? await groupOfKvm() : undefined
  const withAccelerator: Host['withAccelerator'] = (user, accelerator) => {
    if (!user || accelerator === 'tcg' || kvmGroup === undefined) return user
    return { uid: user.uid, gid: kvmGroup }
  }
  const identityFor = (accelerator: Accelerator) => withAccelerator(options.worker, accelerator)
  let findings: Promise<Findings> | undefined
  let failedAt: number | undefined
  const find = (patienceMs: number): Promise<Findings> => {
    if (findings && (failedAt === undefined || performance.now() < failedAt + patienceMs)) return findings
    failedAt = undefined
    findings = findOut(options, identityFor).then((found) => {
      if (!found.choice.ok) failedAt = performance.now()
      return found
    })
    return findings
  }
  return {
    withAccelerator,
    async report() {
      const [{ version, choice }, figures, isolation] = await Promise.all([
        find(RETRY_AFTER_MS),
        readHostFigures(),
        options.isolation(),
      ])
      return {
        ok: choice.ok,
        version: version?.text ?? 'none',
        accelerator: { kind: choice.kind, reason: choice.reason, probeMs: choice.probeMs },
        hosts: [{ id: LOCAL_HOST, up: true, ...figures }],
        isolation,
      }
    },
    async ready() {
      const { version, choice, failure } = await find(0)
      if (failure) throw failure
      if (!version || !choice.ok) throw new EngineError('engine', choice.reason, { retry: true })
      return { version, accelerator: choice.kind }
    },
    async settle() {
      await findings
    },
  }
}

async function findOut(options: HostOptions, identityFor: ProbePlace['identityFor']): Promise<Findings> {
  let version: QemuVersion
  try {
    version = await readQemuVersion(options.binary)
  } catch (error) {
    return { version: undefined, ...notFound(error) }
  }
  try {
    const choice = await chooseAccelerator(options.setting, createProbe({ ...options, identityFor }))
    return { version, choice }
  } catch (error) {
    return { version, ...notFound(error) }
  }
}

function notFound(error: unknown): Pick<Findings, 'choice' | 'failure'> {
  const failure = engineErrorOf(error)
  return { failure, choice: { kind: 'tcg', ok: false, reason: failure.message, probeMs: null } }
}

/** Debian gives /dev/kvm to the group `kvm`; the worker needs it, since supplementary groups are dropped. */
async function groupOfKvm(): Promise<number | undefined> {
  const device = await stat('/dev/kvm').catch(() => undefined)
  if (!device || device.gid === 0 || (device.mode & 0o060) !== 0o060) return undefined
  return device.gid
}
