import { realpath } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join, normalize, sep } from 'node:path'
import { SandlabError } from '../../domain/error.js'
import { isSuspendedName, type Layout } from '../../domain/layout.js'
import { isDiskName } from '../../storage/orphan-scan.js'

/** A disk that a person names: in one of our folders, or elsewhere on this machine. */
export interface StoragePath {
  place: 'overlays' | 'images' | 'outside'
  /** File name. */
  name: string
  absolute: string
  /** As people know it: `/overlays/…`, `/images/…`, else the absolute path. */
  shown: string
}

/** Where a person may take files from besides `overlays/` and `images/`. */
export interface PathRights {
  /** Folders that an administrator has allowed. */
  folders: readonly string[]
  /** Whoever holds this machine's own credential may name any file. */
  any: boolean
}

/** As readStoragePath, for what may also be the memory of a suspended guest, which is no disk. */
export function readDiscardPath(layout: Layout, given: string): StoragePath {
  return readStoragePath(layout, given, (name) => isDiskName(name) || isSuspendedName(name))
}

/** Reads a path as people write it; looks at no file. Throws `path_not_allowed` for what is hidden or lies deeper. */
export function readStoragePath(layout: Layout, given: string, isOurs = isDiskName): StoragePath {
  if (given.includes('\0')) throw notAllowed(given)
  const path = normalize(given.includes('/') ? given : `/overlays/${given}`)
  if (!isAbsolute(path)) throw notAllowed(given)
  for (const place of ['overlays', 'images'] as const) {
    for (const root of [`/${place}`, layout[place]]) {
      if (!path.startsWith(root + sep)) continue
      const name = path.slice(root.length + 1)
      if (name !== basename(name) || !isOurs(name)) throw notAllowed(given)
      return { place, name, absolute: join(layout[place], name), shown: `/${place}/${name}` }
    }
  }
  return { place: 'outside', name: basename(path), absolute: path, shown: path }
}

/** Throws `path_not_allowed` for a file outside of our folders and of those that this person may use. */
export async function refuseForeignPath(path: StoragePath, rights: PathRights): Promise<StoragePath> {
  if (path.place !== 'outside') return path
  // The folder's real place counts, not how it is written; the file itself is never followed.
  const folder = await realpath(dirname(path.absolute)).catch(() => undefined)
  const real = folder === undefined ? path.absolute : join(folder, path.name)
  const allowed = await Promise.all(rights.folders.map((one) => realpath(one).catch(() => one)))
  if (rights.any || allowed.some((one) => real.startsWith(one + sep))) return { ...path, absolute: real }
  throw notAllowed(path.shown)
}

function notAllowed(path: string): SandlabError {
  return new SandlabError(
    'path_not_allowed',
    `${JSON.stringify(path.slice(0, 300))} is no disk that may be used here.`,
    {
      hint: 'Move it into the overlays folder (a name that ends with .qcow2, .img or .raw), or let an administrator allow its folder with SANDLABX_IMPORT_FOLDERS.',
    },
  )
}
