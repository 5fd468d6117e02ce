import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeDisk } from '../../src/images/build-disk.js'
import { openPackageSource } from '../../src/images/build-packages.js'
import { chooseChrootMode } from '../../src/images/build-rights.js'
import { RELEASE } from '../../src/images/recipes.js'
import { runCommand } from '../../src/system/command.js'

/** Of the account root, for a node without a seed. */
export const ROOT_PASSWORD = 'a disk of its own'

const MINUTES = 60_000
const MIB = 1024 * 1024
const DISK_MIB = 1500
/** Where the root partition starts: after the one for GRUB and the one for UEFI. */
const ROOT_MIB = 18
const FILE_SYSTEM_MIB = DISK_MIB - ROOT_MIB - 1

/** What a public cloud image has as well; busybox is the init, because systemd takes half a minute without KVM. */
const PACKAGES = [
  'busybox-static',
  'cloud-guest-utils',
  'cloud-init',
  'e2fsprogs',
  'fdisk',
  'grub-efi-amd64-bin',
  'grub-pc-bin',
  'ifupdown',
  'linux-image-cloud-amd64',
  'mtools',
  'sudo',
  'usr-is-merged',
]

/** Before the packages: a merged /usr, and an initial RAM disk of virtio drivers only, which GRUB reads in no time. */
const SETUP = [
  'for d in bin sbin lib lib64; do mkdir -p "$1/usr/$d"; ln -s "usr/$d" "$1/$d"; done',
  'mkdir -p "$1/etc/initramfs-tools/conf.d" "$1/usr/share/initramfs-tools/modules.d"',
  String.raw`printf 'MODULES=list\nCOMPRESS=gzip\n' >"$1/etc/initramfs-tools/conf.d/small"`,
  String.raw`printf 'virtio_pci\nvirtio_blk\n' >"$1/usr/share/initramfs-tools/modules.d/virtio"`,
]

const GRUB_SETTINGS = `
serial --unit=0 --speed=115200
terminal_output console serial
echo 'GRUB starts Debian'
linux /boot/kernel root=/dev/vda1 rw quiet console=tty1 console=ttyS0 net.ifnames=0
initrd /boot/initrd
boot
`

const INITTAB = `
::sysinit:/etc/start
ttyS0::respawn:/bin/busybox getty -L 115200 ttyS0 vt100
::ctrlaltdel:/bin/busybox reboot
`

/** Only what the seed is about, of the modules that Debian's list has; each costs a second without KVM. */
const CLOUD_SETTINGS = `
datasource_list: [NoCloud, None]
cloud_init_modules: [growpart, resizefs, set_hostname, update_hostname, update_etc_hosts, users-groups, ssh]
cloud_config_modules: [set-passwords]
cloud_final_modules: [final-message]
ssh_genkeytypes: []
`

/** The steps of cloud-init's four services, if there is a seed, which its own ds-identify looks for too. */
const START = `#!/bin/sh
mount -t tmpfs tmpfs /run
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts
hostname -F /etc/hostname
modprobe -a virtio_net isofs
[ -n "$(blkid -L cidata)" ] || exit 0
cloud-init init --local && ifup -a; cloud-init init && cloud-init modules --mode=config && cloud-init modules --mode=final
hostname -F /etc/hostname
`

/**
 * Runs in the guest's tree, whose tools partition and fill the disk: the layout of Debian's own cloud images, which start
 * by BIOS and by UEFI. boot.img says at byte 0x5c where GRUB's core is, and the core at its byte 0x1f4 where it goes on.
 */
const SKELETON = String.raw`
set -e
cd /boot
ln -s vmlinuz-* kernel
ln -s initrd.img-* initrd
disk=/boot/skeleton
truncate -s ${DISK_MIB}M $disk
sfdisk -q $disk <<'TABLE'
label: gpt
1 : start=${ROOT_MIB}MiB, type=L
14 : start=1MiB, size=1MiB, type=21686148-6449-6E6F-744E-656564454649
15 : start=2MiB, size=16MiB, type=U
TABLE
modules='part_gpt ext2 normal linux configfile serial terminal echo'
grub-mkimage -O i386-pc -p '(hd0,gpt1)/boot/grub' -o core.img biosdisk $modules
grub-mkimage -O x86_64-efi -p '(hd0,gpt1)/boot/grub' -o core.efi $modules efi_gop
write() { dd of=$disk conv=notrunc bs=1 status=none "$@"; }
write if=/usr/lib/grub/i386-pc/boot.img count=440
printf '\0\10\0\0' | write seek=92
dd if=core.img of=$disk conv=notrunc bs=1M seek=1 status=none
printf '\1\10\0\0' | write seek=1049076
export MTOOLS_SKIP_CHECK=1
mformat -i $disk@@2M -T 32768 -h 16 -s 63 ::
mmd -i $disk@@2M ::/EFI ::/EFI/BOOT
mcopy -i $disk@@2M core.efi ::/EFI/BOOT/BOOTX64.EFI
head -c ${ROOT_MIB}M $disk >/tmp/head
tail -c 1M $disk >/tmp/tail
rm $disk core.img core.efi
`

/**
 * Makes a raw disk in `folder` with a boot loader of its own for BIOS and UEFI, a partition table, a root file system of
 * 1.4 GiB and the real cloud-init, from Debian packages. Returns its path. It takes two minutes.
 */
export async function makeCloudDisk(folder: string): Promise<string> {
  const signal = AbortSignal.timeout(15 * MINUTES)
  const work = await mkdtemp(join(folder, 'cloud-'))
  const source = await openPackageSource(work, signal)
  await writeFile(join(work, 'skeleton.sh'), SKELETON)
  await addFiles(work)
  const mode = await chooseChrootMode('a disk for the test', signal)
  await runCommand(
    'mmdebstrap',
    [
      `--mode=${mode}`,
      '--variant=minbase',
      '--architectures=amd64',
      '--format=tar',
      '--dpkgopt=path-exclude=/usr/share/locale/*',
      '--dpkgopt=path-exclude=/usr/share/doc/*',
      '--dpkgopt=path-exclude=/usr/share/man/*',
      ...SETUP.map((hook) => `--setup-hook=${hook}`),
      `--setup-hook=copy-in ${source.settingsFile} /etc/apt/apt.conf.d/`,
      `--include=${PACKAGES.join(',')}`,
      '--customize-hook=tar-in additions.tar /',
      '--customize-hook=copy-in skeleton.sh /tmp/',
      `--customize-hook=echo 'root:${ROOT_PASSWORD}' | chroot "$1" chpasswd`,
      '--customize-hook=chroot "$1" sh /tmp/skeleton.sh',
      '--customize-hook=copy-out /tmp/head /tmp/tail .',
      '--customize-hook=rm "$1/tmp/head" "$1/tmp/tail" "$1/tmp/skeleton.sh"',
      '--customize-hook=ln -sf /bin/busybox "$1/usr/sbin/init"',
      RELEASE,
      'root.tar',
      source.sourcesFile,
    ],
    { cwd: work, timeoutMs: 15 * MINUTES, signal, env: { DEBIAN_FRONTEND: 'noninteractive' } },
  )
  return joinDisk(folder, work, signal)
}

async function addFiles(work: string): Promise<void> {
  const files = join(work, 'additions')
  await mkdir(join(files, 'etc/cloud/cloud.cfg.d'), { recursive: true })
  await mkdir(join(files, 'boot/grub'), { recursive: true })
  await writeFile(join(files, 'boot/grub/grub.cfg'), GRUB_SETTINGS)
  await writeFile(join(files, 'etc/inittab'), INITTAB)
  await writeFile(join(files, 'etc/cloud/cloud.cfg.d/90-test.cfg'), CLOUD_SETTINGS)
  await writeFile(join(files, 'etc/start'), START, { mode: 0o755 })
  await writeFile(join(files, 'etc/hostname'), 'cloud\n')
  const owner = ['--owner=:0', '--group=:0', '--numeric-owner']
  await runCommand('tar', ['--create', ...owner, `--directory=${files}`, '--file=additions.tar', 'etc', 'boot'], {
    cwd: work,
    timeoutMs: MINUTES,
  })
}

/** The partition table with the boot loaders, the file system, and the table's copy at the end. */
async function joinDisk(folder: string, work: string, signal: AbortSignal): Promise<string> {
  const fileSystem = await makeDisk(work, join(work, 'root.tar'), FILE_SYSTEM_MIB * MIB, signal)
  const disk = join(folder, 'cloud.raw')
  const parts = { head: 0, [fileSystem]: ROOT_MIB, tail: DISK_MIB - 1 }
  for (const [part, atMib] of Object.entries(parts)) {
    const args = [`if=${part}`, `of=${disk}`, 'bs=1M', `seek=${atMib}`, 'conv=notrunc,sparse']
    await runCommand('dd', args, { cwd: work, timeoutMs: 5 * MINUTES, signal })
  }
  await rm(work, { recursive: true })
  return disk
}
