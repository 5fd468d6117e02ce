import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { access, rm, truncate, writeFile } from 'node:fs/promises'
import { z } from 'zod'
import { missingTool } from '../system/debian-packages.js'
import { runCommand } from '../system/command.js'
import { childEnvironment } from '../system/command-environment.js'
import type { Identity } from '../system/identity.js'
import type { Probe, ProbeOutcome } from './accelerator.js'
import { rawFile } from './block-devices.js'
import { printingBootSector } from './boot-sector.js'
import type { Accelerator } from './machine.js'
import { newestLines } from './run-logs.js'

export interface QemuVersion {
  major: number
  minor: number
  /** As it names itself: `7.2.22`. */
  text: string
}

const versionSchema = z
  .string()
  .regex(/^QEMU emulator version \d+\.\d+/)
  .transform((text): QemuVersion => {
    const [, full = '', major = '', minor = ''] = /version ((\d+)\.(\d+)[\d.]*)/.exec(text) ?? []
    return { major: Number(major), minor: Number(minor), text: full }
  })

/** Asks QEMU who it is. Throws `missing_tool` when it is not installed, naming the Debian package. */
export async function readQemuVersion(binary: string): Promise<QemuVersion> {
  const { stdout } = await runCommand(binary, ['--version'], { timeoutMs: 10_000 })
  return versionSchema.parse(stdout)
}

export interface ProbePlace {
  binary: string
  /** QEMU's working folder. */
  cwd: string
  /** A folder for the sector's file: as we see it, and as QEMU does from `cwd`. */
  folder: string
  folderInQemu: string
  identityFor(accelerator: Accelerator): Identity | undefined
}

const ANSWER = 'SANDLABX'
/** SeaBIOS boots no virtio disk of a single sector. */
const DISK_BYTES = 1024 * 1024

/** Probes with a real QEMU, as the same user as nodes run. */
export function createProbe(place: ProbePlace): Probe {
  return {
    kvmDevicePresent: () =>
      access('/dev/kvm').then(
        () => true,
        () => false,
      ),
    async boot(accelerator, limitMs) {
      const name = `probe-${randomBytes(6).toString('hex')}.img`
      const file = `${place.folder}/${name}`
      try {
        await writeFile(file, printingBootSector(`${ANSWER}\n`), { flag: 'wx', mode: 0o644 })
        await truncate(file, DISK_BYTES)
        return await bootOnce(place, accelerator, `${place.folderInQemu}/${name}`, limitMs)
      } finally {
        await rm(file, { force: true })
      }
    },
  }
}

function bootOnce(place: ProbePlace, accelerator: Accelerator, disk: string, limitMs: number): Promise<ProbeOutcome> {
  const began = performance.now()
  const identity = place.identityFor(accelerator)
  // A backend that is killed in the middle takes its probe along (util-linux, prctl(2) PR_SET_PDEATHSIG).
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', place.binary, ...probeArguments(accelerator, disk)], {
    cwd: place.cwd,
    env: childEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(identity ? { uid: identity.uid, gid: identity.gid } : {}),
  })
  return outcomeOf(child, place.binary, limitMs, () => Math.round(performance.now() - began)).finally(() =>
    child.kill('SIGKILL'),
  )
}

function outcomeOf(child: ChildProcess, binary: string, limitMs: number, ms: () => number): Promise<ProbeOutcome> {
  return new Promise((resolve) => {
    let heard = ''
    let complaint = ''
    const fail = (reason: string) => resolve({ answered: false, ms: ms(), reason })
    const timer = setTimeout(() => fail(`no answer in ${limitMs} ms`), limitMs)
    child.stdout?.on('data', (chunk: Buffer) => {
      heard = (heard + chunk.toString('latin1')).slice(-1000)
      if (heard.includes(ANSWER)) resolve({ answered: true, ms: ms() })
    })
    child.stderr?.on('data', (chunk: Buffer) => {
      complaint = (complaint + chunk.toString('utf8')).slice(-4000)
      // QEMU stays up after this one, with a guest that is dead.
      if (complaint.includes('KVM internal error')) fail('KVM internal error')
    })
    child.once('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer)
      fail(error.code === 'ENOENT' ? missingTool(binary).message : error.message)
    })
    child.once('close', (code, signal) => {
      clearTimeout(timer)
      fail(
        newestLines(complaint, 2).replaceAll('\n', '; ').replace(/\.$/, '') ||
          `QEMU ended with ${signal ?? `exit code ${code}`}`,
      )
    })
  })
}

function probeArguments(accelerator: Accelerator, disk: string): string[] {
  const args: string[][] = [
    ['-no-user-config', '-nodefaults', '-display', 'none', '-monitor', 'none', '-machine', 'pc,usb=off'],
    ['-accel', accelerator, '-cpu', accelerator === 'kvm' ? 'host' : 'qemu64', '-m', 'size=32M'],
    ['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
    ['-blockdev', JSON.stringify(rawFile('disk', disk, true))],
    ['-device', JSON.stringify({ driver: 'virtio-blk-pci', drive: 'disk', bootindex: 1 })],
    ['-chardev', 'stdio,id=out,signal=off', '-serial', 'chardev:out'],
  ]
  return args.flat()
}
