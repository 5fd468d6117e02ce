import { constants } from 'node:fs'
import { access, mkdir } from 'node:fs/promises'
import type { Config } from '../config.js'
import type { HealthCheck } from '../domain/health.js'
import { formatBytes, GIB, MIB } from '../domain/units.js'
import { freeSpace } from '../storage/space.js'
import { isolationFinding } from './isolation-check.js'
import type { Services } from './services.js'

type Finding = Omit<HealthCheck, 'id' | 'title'>
const ok = (message: string): Finding => ({ state: 'ok', message, hint: null })
const warning = (message: string, hint: string): Finding => ({ state: 'warning', message, hint })
const failed = (message: string, hint: string): Finding => ({ state: 'failed', message, hint })

/** Every check of the health page, in one table. A check that throws has failed; it never fails the others. */
export async function runHealthChecks(services: Services): Promise<HealthCheck[]> {
  const checks: [string, string, () => Promise<Finding>][] = [
    ['state', 'State file', async () => checkState(services)],
    ['recovery', 'Last start', async () => checkRecovery(services)],
    ['postgres', 'Database (PostgreSQL)', () => checkDatabase(services)],
    ['qemu', 'QEMU', () => checkQemu(services)],
    ['accelerator', 'Accelerator', () => checkAccelerator(services)],
    ['isolation', 'Isolation of guests', () => checkIsolation(services)],
    ['memory', 'Memory', () => checkMemory(services)],
    ['disk', 'Free disk', () => checkDisk(services.config)],
    ['folders', 'Folders', () => checkFolders(services.config)],
    ['images', 'Base images', async () => checkImages(services)],
    ['nodes', 'Nodes', async () => checkNodes(services)],
    ['storage', 'Storage', () => checkStorage(services)],
    ['guacd', 'Guacamole (guacd)', () => checkGuacd(services)],
    ['port', 'Address', async () => ok(`Listening on ${services.config.host}, port ${services.config.port}.`)],
  ]
  return Promise.all(
    checks.map(async ([id, title, find]) => {
      const finding = await find().catch((error: unknown) =>
        failed(error instanceof Error ? error.message : String(error), 'See the log of SandLabX.'),
      )
      return { id, title, ...finding }
    }),
  )
}

function checkState(services: Services): Finding {
  if (services.safeMode) {
    if (services.safeMode.sidecars === 0) {
      return failed(
        `Safe mode: ${services.safeMode.reason} Nothing was overwritten.`,
        'There is no record beside these disks. If they are of an older SandLabX, stop this one and run `./migrate-state.sh`; else restore a backup of the state.',
      )
    }
    return failed(
      `Safe mode: ${services.safeMode.reason} Nothing was overwritten.`,
      `Rebuild the state from the ${services.safeMode.sidecars} records beside the disks: the button on this page, or \`sandlabx state rebuild\`.`,
    )
  }
  if (!services.lab) return warning('Not loaded yet.', 'Wait a few seconds.')
  const { store } = services.lab
  if (store.fault)
    return failed(store.fault.message, store.fault.hint ?? 'Look at the disk, then start SandLabX again.')
  if (services.stateWarning !== null)
    return warning(services.stateWarning, 'Look at your nodes; then keep a backup of `state/`.')
  return ok(`${services.config.layout.stateFile}, revision ${store.revision}, ${store.data.nodes.length} nodes.`)
}

/** What the start found half done, and how it ended. */
function checkRecovery(services: Services): Finding {
  const recovery = services.lab?.transactions.recovery
  if (!recovery) return warning('Not loaded yet.', 'Wait a few seconds.')
  const { finished, undone, resumed, failed: stuck, unreadable, tookMs } = recovery
  const parts = [
    ...said('finished', finished),
    ...said('taken back', undone),
    ...said('going on', resumed),
    ...said(
      'not ended',
      stuck.map(({ title, reason }) => `${title} (${reason})`),
    ),
    ...said(
      'not readable',
      unreadable.map(({ file }) => file),
    ),
  ]
  if (parts.length === 0) return ok('Nothing was half done.')
  const message = `The former process left something half done; it was looked at in ${tookMs} ms: ${parts.join('; ')}.`
  if (stuck.length + unreadable.length === 0) return ok(message)
  return warning(
    message,
    'Nothing was lost: these stay in `state/journal`. Look at the log, then start SandLabX again.',
  )
}

function said(how: string, titles: string[]): string[] {
  if (titles.length === 0) return []
  const named = titles.slice(0, 5).join(', ')
  return [`${titles.length} ${how}: ${named}${titles.length > 5 ? ', …' : ''}`]
}

async function checkDatabase(services: Services): Promise<Finding> {
  const { spooled, lost } = services.audit.waiting()
  const waiting =
    spooled + lost === 0 ? '' : ` ${spooled} audit entries wait for it, ${lost} were lost for want of room.`
  const own = services.postgresHealth?.()
  if (own && own.state !== 'ok') return { state: own.state, message: own.message + waiting, hint: own.hint }
  const version = await services.database.ping().catch(() => null)
  if (version !== null && waiting === '') return ok(`PostgreSQL ${version} answers.`)
  if (version !== null)
    return warning(`PostgreSQL ${version} answers.${waiting}`, 'Entries that wait are written within seconds.')
  return failed(
    `The database does not answer: nobody can sign in. Running nodes go on.${waiting}`,
    services.config.databaseUrl === undefined
      ? 'See `state/postgres.log`.'
      : 'Start the server that DATABASE_URL names.',
  )
}

async function checkQemu(services: Services): Promise<Finding> {
  if (!services.lab) return warning('Not looked at yet.', 'Wait until the state is loaded.')
  const report = await services.lab.engine.probe()
  if (!report.ok) return failed('QEMU does not run.', 'Install the Debian packages qemu-system-x86 and qemu-utils.')
  return ok(`QEMU ${report.version}.`)
}

async function checkAccelerator(services: Services): Promise<Finding> {
  if (!services.lab) return warning('Not probed yet.', 'Wait until the state is loaded.')
  const { accelerator } = await services.lab.engine.probe()
  if (accelerator.kind === 'kvm') return ok(accelerator.reason)
  return warning(
    `Software emulation (TCG): ${accelerator.reason} Nodes run several times slower, and isolation is weaker.`,
    'On a machine with hardware virtualisation, enable it in the firmware and let this user open /dev/kvm.',
  )
}

async function checkIsolation(services: Services): Promise<Finding> {
  if (!services.lab) return warning('Not looked at yet.', 'Wait until the state is loaded.')
  return isolationFinding((await services.lab.engine.probe()).isolation)
}

async function checkMemory(services: Services): Promise<Finding> {
  if (!services.lab) return warning('Not looked at yet.', 'Wait until the state is loaded.')
  const hosts = (await services.lab.engine.probe()).hosts.filter((host) => host.up)
  const free = hosts.reduce((sum, host) => sum + host.freeMemoryMib, 0)
  const total = hosts.reduce((sum, host) => sum + host.memoryMib, 0)
  const text = `${formatBytes(free * MIB)} of ${formatBytes(total * MIB)} are free.`
  return free >= 512 ? ok(text) : warning(text, 'Stop a node; new ones would be refused.')
}

async function checkDisk(config: Config): Promise<Finding> {
  const { freeBytes, totalBytes } = await freeSpace(config.layout.overlays)
  const text = `${formatBytes(freeBytes)} of ${formatBytes(totalBytes)} are free where the disks are.`
  if (freeBytes < 512 * MIB) return failed(text, 'Free disk space now: running nodes pause when it is full.')
  return freeBytes < 5 * GIB ? warning(text, 'Delete unused images or nodes.') : ok(text)
}

async function checkFolders(config: Config): Promise<Finding> {
  const { images, overlays, state, run } = config.layout
  const found: string[] = []
  for (const folder of [images, overlays, state, run]) {
    try {
      await mkdir(folder, { recursive: true })
      await access(folder, constants.R_OK | constants.W_OK | constants.X_OK)
    } catch {
      return failed(`${folder} can't be written.`, `sudo chown -R "$(id -u):$(id -g)" ${folder}`)
    }
    found.push(`${folder} (${(await freeSpace(folder)).filesystem})`)
  }
  return ok(`Writable: ${found.join(', ')}.`)
}

function checkImages(services: Services): Finding {
  const count = services.lab?.store.data.images.length ?? 0
  if (count > 0) return ok(`${count} base images.`)
  return warning('There is no base image, so no node can be made.', 'Build `tiny` or `debian-12` on the Images page.')
}

function checkNodes(services: Services): Finding {
  const nodes = services.lab?.nodes.list() ?? []
  const bad = nodes.filter((node) => ['broken', 'crashed', 'unknown'].includes(node.status))
  const strangers = services.lab?.nodes.report.strangers.length ?? 0
  const found = `${nodes.length} nodes, ${nodes.filter((node) => node.status === 'running').length} running`
  if (strangers > 0) {
    return warning(
      `${found}; ${strangers} running QEMU processes belong to no node.`,
      'They were left alone. End them by hand if they are not wanted.',
    )
  }
  if (bad.length === 0) return ok(`${found}.`)
  return warning(`${found}; ${bad.map((node) => `${node.name} (${node.status})`).join(', ')}.`, 'Open each to see why.')
}

async function checkStorage(services: Services): Promise<Finding> {
  if (!services.lab) return warning('Not looked at yet.', 'Wait until the state is loaded.')
  return services.lab.disks.verify.health()
}

async function checkGuacd(services: Services): Promise<Finding> {
  return services.lab?.consoles.guacamoleHealth() ?? warning('Not looked at yet.', 'Wait until the state is loaded.')
}
