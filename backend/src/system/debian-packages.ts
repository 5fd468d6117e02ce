import { basename } from 'node:path'
import { SandlabError } from '../domain/error.js'

/** Program → the Debian package that has it. Programs that are not here are named like their package. */
const PACKAGES: Record<string, string> = {
  'qemu-system-x86_64': 'qemu-system-x86',
  'qemu-img': 'qemu-utils',
  'qemu-io': 'qemu-utils',
  'qemu-nbd': 'qemu-utils',
  prlimit: 'util-linux',
  flock: 'util-linux',
  setpriv: 'util-linux',
  unshare: 'util-linux',
  mke2fs: 'e2fsprogs',
  newuidmap: 'uidmap',
  e2fsck: 'e2fsprogs',
  resize2fs: 'e2fsprogs',
  debugfs: 'e2fsprogs',
  busybox: 'busybox-static',
  xz: 'xz-utils',
  'dpkg-deb': 'dpkg',
  'apt-get': 'apt',
  initdb: 'postgresql',
  pg_ctl: 'postgresql',
  postgres: 'postgresql',
  pg_controldata: 'postgresql',
  psql: 'postgresql-client',
}

export function debianPackageOf(binary: string): string {
  const name = basename(binary)
  return PACKAGES[name] ?? name
}

/** For programs that are not installed; also for long-lived children that `runCommand` does not start. */
export function missingTool(binary: string, cause?: unknown): SandlabError {
  const debianPackage = debianPackageOf(binary)
  return new SandlabError('missing_tool', `Could not run \`${binary}\`: it is not installed.`, {
    hint: `Install it with \`apt-get install ${debianPackage}\`.`,
    details: { tool: binary, debianPackage },
    cause,
  })
}
