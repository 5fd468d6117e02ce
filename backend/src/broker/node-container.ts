import type Docker from 'dockerode'
import { layoutOf, nodeRunDir } from '../domain/layout.js'
import type { NodeContainerRequest } from '../domain/node-container.js'
import { FOLDERS, type Place } from './place.js'

/** What QEMU needs beside its guest's memory: code that it has translated, its own, and the page cache of its disk. */
const OVERHEAD_MIB = 512
/** A quarter of the guest's on top: tables for its pages, and buffers for its devices. */
const OVERHEAD_SHARE = 0.25
const MIB = 1024 ** 2
/** A vCPU each, and QEMU's workers for the disk, of which it has no more than 64. */
const PIDS_BESIDE_CPUS = 96

export const LABELS = { node: 'sandlabx.node', project: 'sandlabx.project' } as const

/** Two projects on one engine have names of their own. */
export function containerName(place: Pick<Place, 'project'>, node: string): string {
  return `${place.project}-node-${node}`
}

/**
 * All that Docker is told of a node's container. From the call come an id of closed form and three numbers; the rest is
 * written here, or is the broker's own. What runs is a fixed program of the image, which takes QEMU's arguments from the
 * node's folder: who can write those can make QEMU do what QEMU can do in here. Pure.
 */
export function containerOptions(place: Place, call: NodeContainerRequest<'create'>): Docker.ContainerCreateOptions {
  const { node, memoryMib, cpus, uid } = call
  const runDir = nodeRunDir(layoutOf('/app', { run: FOLDERS.run }), node)
  return {
    name: containerName(place, node),
    Image: place.image,
    Entrypoint: ['/app/docker/node'],
    Cmd: [runDir],
    User: `${uid}:${uid}`,
    WorkingDir: '/app',
    Hostname: 'node',
    Labels: { [LABELS.node]: node, [LABELS.project]: place.project },
    StopSignal: 'SIGTERM',
    Healthcheck: { Test: ['NONE'] }, // the image's is the backend's
    AttachStdin: false,
    AttachStdout: false,
    AttachStderr: false,
    OpenStdin: false,
    Tty: false,
    HostConfig: {
      Privileged: false,
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges:true'],
      ReadonlyRootfs: true,
      NetworkMode: 'none',
      IpcMode: 'none',
      Memory: limitOf(memoryMib),
      MemorySwap: limitOf(memoryMib), // the same: none
      CpuPeriod: 100_000,
      CpuQuota: cpus * 100_000,
      PidsLimit: PIDS_BESIDE_CPUS + cpus,
      OomScoreAdj: 900, // before the backend, when the machine has no memory left
      Ulimits: [{ Name: 'core', Soft: 0, Hard: 0 }],
      LogConfig: { Type: 'none', Config: {} }, // it writes into the node's folder
      AutoRemove: true,
      RestartPolicy: { Name: '' },
      Mounts: place.mounts,
      ...kvmOptions(place.kvm),
    },
  }
}

function limitOf(memoryMib: number): number {
  return Math.ceil(memoryMib * (1 + OVERHEAD_SHARE) + OVERHEAD_MIB) * MIB
}

function kvmOptions(kvm: Place['kvm']): Pick<Docker.HostConfig, 'Devices' | 'GroupAdd'> {
  if (!kvm) return {}
  const device = { PathOnHost: '/dev/kvm', PathInContainer: '/dev/kvm', CgroupPermissions: 'rw' }
  return { Devices: [device], ...(kvm.group === 0 ? {} : { GroupAdd: [String(kvm.group)] }) }
}
