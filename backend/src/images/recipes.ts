import { imageIdSchema } from '../domain/ids.js'
import type { Recipe } from '../domain/image.js'
import { GIB, MIB } from '../domain/units.js'

/** What a build does for one starter image; all paths are the guest's. */
export interface StarterRecipe extends Recipe {
  /** `busybox`: a tree of our own around busybox. `debian`: a tree that mmdebstrap makes. */
  base: 'busybox' | 'debian'
  /** Debian packages beyond apt and the essential ones; for `busybox`, where further files come from. */
  packages: readonly string[]
  /** Folders of recipes/ that are laid over the tree, later ones on top. */
  trees: readonly string[]
  /** Path in the guest → what the symbolic link there says. */
  links: Readonly<Record<string, string>>
  /** Modes other than 0755 for folders and scripts, 0644 for the rest. */
  modes: Readonly<Record<string, number>>
  /** Group numbers of files that root's own group shall not have. */
  groups: Readonly<Record<string, number>>
  /** Commands in the finished Debian tree, one program with its arguments each. */
  finish: readonly (readonly string[])[]
  /** Size of the image's disk; a node's disk is at least as large and the file system grows to it. */
  diskBytes: number
  /** Room that a build takes below `images/` at its fullest. */
  workBytes: number
  minimumMemoryMib: number
  /** Has qemu-guest-agent, which runs where the machine has a port for it. */
  guestAgent: boolean
  sshServer: boolean
}

/** All starter images are made from this release. */
export const RELEASE = 'bookworm'

export const LOGIN_NOTES = 'Sign in with the user and the password of the node; the user may use sudo.'

const DEBIAN_PACKAGES = [
  'busybox-static',
  'ca-certificates',
  'curl',
  'e2fsprogs',
  'ifupdown',
  'iproute2',
  'iputils-ping',
  'kmod',
  'less',
  'nano',
  'netbase',
  'openssh-client',
  'openssh-server',
  'procps',
  'qemu-guest-agent',
  'sudo',
  'udhcpc',
  'usr-is-merged',
  'vim-tiny',
]

/** The agent asks for it by this path when it sets the guest's clock. */
const HARDWARE_CLOCK = { 'usr/sbin/hwclock': '/bin/busybox' }

const BUSYBOX_INIT = {
  'usr/sbin/init': '/bin/busybox',
  'usr/sbin/poweroff': '/bin/busybox',
  'usr/sbin/reboot': '/bin/busybox',
  'usr/sbin/halt': '/bin/busybox',
}

/** A copy of busybox that is root's and may be run by the group sudo only; the other copy never becomes root. */
export const BECOMES_ROOT = '/usr/lib/sandlabx/busybox-suid'

export const STARTER_RECIPES: readonly StarterRecipe[] = [
  {
    id: imageIdSchema.parse('tiny'),
    title: 'Tiny Linux (busybox)',
    description:
      'A Debian kernel and busybox: a shell, network tools and an editor, at a login within seconds even without KVM. ' +
      'For first steps and tests. It has no package manager.',
    buildSeconds: 15,
    base: 'busybox',
    packages: [],
    trees: ['common', 'busybox', 'tiny'],
    links: {
      'etc/resolv.conf': '/run/resolv.conf',
      'bin/su': BECOMES_ROOT,
      'bin/ping': BECOMES_ROOT,
      'bin/ping6': BECOMES_ROOT,
      'usr/bin/passwd': BECOMES_ROOT,
      'usr/bin/traceroute': BECOMES_ROOT,
    },
    modes: { root: 0o700, 'etc/shadow': 0o640, [BECOMES_ROOT.slice(1)]: 0o4750 },
    groups: { [BECOMES_ROOT.slice(1)]: 27 }, // sudo, as in tiny/etc/group
    finish: [],
    diskBytes: 64 * MIB,
    workBytes: 300 * MIB,
    minimumMemoryMib: 128,
    guestAgent: false,
    sshServer: false,
  },
  {
    id: imageIdSchema.parse('debian-12'),
    title: 'Debian 12',
    description:
      'Debian 12 with apt, network tools, SSH and editors. busybox is its init, so that it starts three times sooner ' +
      'than with systemd where there is no KVM.',
    buildSeconds: 60,
    base: 'debian',
    packages: DEBIAN_PACKAGES,
    trees: ['common', 'busybox', 'debian', 'debian-busybox'],
    links: { ...BUSYBOX_INIT, ...HARDWARE_CLOCK },
    modes: {},
    groups: {},
    finish: [],
    diskBytes: 4 * GIB,
    workBytes: 1500 * MIB,
    minimumMemoryMib: 256,
    guestAgent: true,
    sshServer: true,
  },
  {
    id: imageIdSchema.parse('debian-12-systemd'),
    title: 'Debian 12 with systemd',
    description:
      'Debian 12 with apt, network tools, SSH, editors and systemd, as on a server. Slow to start without KVM; ' +
      'debian-12 is the quicker one.',
    buildSeconds: 75,
    base: 'debian',
    packages: [...DEBIAN_PACKAGES, 'dbus', 'systemd-sysv', 'udev'],
    trees: ['common', 'debian', 'debian-systemd'],
    links: HARDWARE_CLOCK,
    modes: {},
    groups: {},
    finish: [
      // One process less: the socket starts SSH when somebody connects.
      ['systemctl', 'disable', 'ssh.service'],
      ['systemctl', 'enable', 'ssh.socket', 'sandlabx-devices.service'],
      // A lab often has no way to the internet, and nobody waits for updates behind their back.
      ['systemctl', 'mask', 'apt-daily.timer', 'apt-daily-upgrade.timer', 'e2scrub_all.timer', 'e2scrub_reap.service'],
    ],
    diskBytes: 4 * GIB,
    workBytes: 1600 * MIB,
    minimumMemoryMib: 384,
    guestAgent: true,
    sshServer: true,
  },
]
