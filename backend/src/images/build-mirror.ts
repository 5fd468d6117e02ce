import { RELEASE } from './recipes.js'

/** A line of `apt-get indextargets`, in the format of TARGET_FORMAT. */
export interface IndexTarget {
  /** The suite as the machine's sources name it: `bookworm`, `stable-security`. */
  release: string
  component: string
  origin: string
  label: string
  uri: string
}

export const TARGET_FORMAT = '$(RELEASE)|$(COMPONENT)|$(ORIGIN)|$(LABEL)|$(REPO_URI)'

/** Where the machine has none of its own, for instance because its package lists were removed. */
const PUBLIC_ARCHIVE = 'http://deb.debian.org/debian/'

export function parseIndexTargets(text: string): IndexTarget[] {
  return text
    .split('\n')
    .map((line) => line.split('|'))
    .filter((fields) => fields.length === 5)
    .map(([release = '', component = '', origin = '', label = '', uri = '']) => ({
      release,
      component,
      origin,
      label,
      uri,
    }))
}

/**
 * sources.list(5) for the build: the release of the starter images from the mirror that this machine itself uses.
 * Another release on the machine (Debian 13) has the same mirror. Without one of Debian's, the public archive; without
 * security updates on the machine, none here: a closed network may have no such mirror.
 *
 * `keyring` null: apt's own trust settings decide.
 */
export function sourcesList(targets: IndexTarget[], keyring: string | null): string {
  const usable = targets.filter(
    (target) => target.origin === 'Debian' && target.component === 'main' && /^https?:\/\/[^\s[\]]+$/.test(target.uri),
  )
  const archive = usable.find((target) => target.label === 'Debian')?.uri ?? PUBLIC_ARCHIVE
  const security = usable.find((target) => target.label === 'Debian-Security')?.uri
  const hasUpdates = usable.some((target) => target.release.endsWith('-updates'))
  const options = keyring === null ? '' : `[signed-by=${keyring}] `
  const line = (uri: string, suite: string) => `deb ${options}${uri} ${suite} main\n`
  return [
    line(archive, RELEASE),
    hasUpdates ? line(archive, `${RELEASE}-updates`) : '',
    security === undefined ? '' : line(security, `${RELEASE}-security`),
  ].join('')
}

/** apt settings of the machine without which its mirror can't be reached; the others are the machine's own business. */
const NEEDED_SETTINGS = /^Acquire::(https?::|Retries |Check-Valid-Until |Check-Date |ForceIPv[46] )/i

/** Picks from the output of `apt-config dump`, in the form of apt.conf(5). */
export function aptSettings(dump: string): string {
  const lines = dump.split('\n').filter((line) => NEEDED_SETTINGS.test(line) && / ".*";$/.test(line))
  return lines.map((line) => `${line}\n`).join('')
}
