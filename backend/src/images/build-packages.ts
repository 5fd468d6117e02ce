import { access, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SandlabError } from '../domain/error.js'
import { CommandError, runCommand } from '../system/command.js'
import { buildFailure } from './build-failure.js'
import { aptSettings, parseIndexTargets, sourcesList, TARGET_FORMAT } from './build-mirror.js'

/** Where a build gets its packages from: files in its staging folder, none of the machine's own apt state. */
export interface PackageSource {
  /** Staging folder: the working folder of all commands. */
  folder: string
  /** Names in `folder`, without a space. */
  sourcesFile: string
  settingsFile: string
  signal: AbortSignal
}

/** The keyring of the Debian package debian-archive-keyring, newest name first. */
const KEYRINGS = ['/usr/share/keyrings/debian-archive-keyring.pgp', '/usr/share/keyrings/debian-archive-keyring.gpg']
const READ_TIMEOUT_MS = 60_000
const FETCH_TIMEOUT_MS = 15 * 60_000

/**
 * Reads which mirror, keys and proxy this machine's apt uses, and writes them down for this build. The machine's apt
 * itself is not touched, and nothing needs root. Throws `missing_tool`.
 */
export async function openPackageSource(folder: string, signal: AbortSignal): Promise<PackageSource> {
  const options = { timeoutMs: READ_TIMEOUT_MS, signal }
  const format = ['--format', TARGET_FORMAT, 'Created-By: Packages']
  const targets = await runCommand('apt-get', ['indextargets', ...format], options)
  const dump = await runCommand('apt-config', ['dump'], options)
  const source = { folder, sourcesFile: 'sources.list', settingsFile: 'apt-settings.conf', signal }
  // Mode 0600: an address or a proxy may hold a password.
  const list = sourcesList(parseIndexTargets(targets.stdout), await debianKeyring())
  await writeFile(join(folder, source.sourcesFile), list, { mode: 0o600 })
  await writeFile(join(folder, source.settingsFile), aptSettings(dump.stdout), { mode: 0o600 })
  return source
}

async function debianKeyring(): Promise<string | null> {
  for (const path of KEYRINGS) {
    const found = await access(path).then(
      () => true,
      () => false,
    )
    if (found) return path
  }
  return null
}

/** Makes apt's lists in the staging folder. Throws `download_failed`, `no_space`, `cancelled`. */
export async function updatePackageLists(source: PackageSource): Promise<void> {
  const root = join(source.folder, 'apt')
  for (const path of ['lists/partial', 'cache/archives/partial', 'etc/preferences.d', 'log']) {
    await mkdir(join(root, path), { recursive: true })
  }
  await writeFile(join(root, 'status'), '')
  const settings = await readFile(join(source.folder, source.settingsFile), 'utf8')
  await writeFile(join(source.folder, 'apt.conf'), `${ownRoot(source.folder)}${settings}`, { mode: 0o600 })
  await apt(source, 'apt-get', ['update', '-q', '--error-on=any'])
}

/** apt.conf(5) by which apt knows this build's folder only. */
function ownRoot(folder: string): string {
  const root = join(folder, 'apt')
  const settings: Record<string, string> = {
    'Dir::State': root,
    'Dir::State::lists': `${root}/lists`,
    'Dir::State::status': `${root}/status`,
    'Dir::Cache': `${root}/cache`,
    'Dir::Log': `${root}/log`,
    'Dir::Etc::sourcelist': join(folder, 'sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::Etc::preferences': '/dev/null',
    'Dir::Etc::preferencesparts': `${root}/etc/preferences.d`,
    'APT::Architecture': 'amd64',
    'APT::Sandbox::User': 'root', // the folder may lie where the user _apt may not go
    'Acquire::Languages': 'none',
    'Acquire::Retries': '3',
  }
  const lines = Object.entries(settings).map(([name, value]) => `${name} "${value}";\n`)
  return `#clear APT::Architectures;\n${lines.join('')}APT::Architectures { "amd64"; };\n`
}

/** Downloads the newest version of each package, checked by its signature, and unpacks it all into `target`. */
export async function unpackPackages(source: PackageSource, names: readonly string[], target: string): Promise<void> {
  const debs = join(source.folder, 'debs')
  await mkdir(debs)
  await apt(source, 'apt-get', ['download', '-q', ...names], debs)
  for (const name of await readdir(debs)) {
    await runCommand('dpkg-deb', ['--extract', join(debs, name), target], {
      timeoutMs: READ_TIMEOUT_MS,
      signal: source.signal,
    }).catch((error: unknown) => {
      throw buildFailure(`unpack ${name}`, error)
    })
  }
  await rm(debs, { recursive: true })
}

export interface KernelPackage {
  /** `linux-image-6.1.0-50-cloud-amd64` */
  name: string
  /** The package's: `6.1.176-1`. */
  version: string
  /** As `uname -r` prints it: `6.1.0-50-cloud-amd64`. */
  release: string
}

/** The kernel that Debian's `linux-image-cloud-amd64` stands for today. */
export async function findKernel(source: PackageSource): Promise<KernelPackage> {
  const { stdout } = await apt(source, 'apt-cache', ['--no-all-versions', 'show', 'linux-image-cloud-amd64'])
  const match = /^Depends: (linux-image-([^ ,]+)) \(= ([^)]+)\)/m.exec(stdout)
  const [, name, release, version] = match ?? []
  if (!name || !release || !version) {
    throw new SandlabError('download_failed', 'The package mirror has no linux-image-cloud-amd64.', {
      hint: 'Use a mirror of Debian that is complete for amd64, then try again.',
    })
  }
  return { name, release, version }
}

async function apt(source: PackageSource, binary: string, args: string[], cwd = source.folder) {
  try {
    return await runCommand(binary, args, {
      cwd,
      timeoutMs: FETCH_TIMEOUT_MS,
      signal: source.signal,
      env: { APT_CONFIG: join(source.folder, 'apt.conf') },
    })
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    throw buildFailure('get packages from the Debian mirror', error, 'download_failed')
  }
}
