import { stat } from 'node:fs/promises'
import type Docker from 'dockerode'
import { SandlabError } from '../domain/error.js'

/** What a node's container gets of the broker's own: found out by looking at the broker's container, never told. */
export interface Place {
  /** The image, by its id: what runs in a node's container is of the same build as the broker. */
  image: string
  /** The Compose project. */
  project: string
  mounts: Docker.MountSettings[]
  /** Hardware virtualisation, where the broker has it: the group that may open the device; 0: any. */
  kvm: { group: number } | undefined
}

/** Where the same things lie in every container; `docker-compose.yml` says the same. */
export const FOLDERS = { overlays: '/overlays', images: '/images', run: '/run/sandlabx' } as const
const KVM = '/dev/kvm'

/** Throws `bad_config` when this is not the broker's container of a Compose project. */
export async function findPlace(docker: Docker, ownContainer: string): Promise<Place> {
  const own = await docker.getContainer(ownContainer).inspect()
  const project = own.Config.Labels['com.docker.compose.project']
  if (project === undefined || !/^[a-z0-9][a-z0-9_-]*$/.test(project)) {
    throw new SandlabError('bad_config', 'The broker runs only as a service of Docker Compose.', {
      hint: 'docker compose -f docker-compose.yml -f compose.isolated.yml up -d',
    })
  }
  const hasKvm = (own.HostConfig.Devices ?? []).some(
    (device: { PathInContainer?: string }) => device.PathInContainer === KVM,
  )
  return {
    image: own.Image,
    project,
    mounts: [
      mountOf(own, FOLDERS.images, true),
      mountOf(own, FOLDERS.overlays, false),
      mountOf(own, FOLDERS.run, false),
    ],
    kvm: hasKvm ? { group: (await stat(KVM)).gid } : undefined,
  }
}

/** The same folder of the host, or the same volume, at the same place. */
function mountOf(own: Docker.ContainerInspectInfo, target: string, isReadOnly: boolean): Docker.MountSettings {
  const found = own.Mounts.find(({ Destination }) => Destination === target)
  if (!found) {
    throw new SandlabError('bad_config', `The broker has no ${target}, which nodes need.`, {
      hint: 'Mount it as in compose.isolated.yml; the broker itself needs it read-only.',
    })
  }
  const isVolume = found.Type === 'volume' && found.Name !== undefined
  return {
    Type: isVolume ? 'volume' : 'bind',
    Source: isVolume ? (found.Name ?? '') : found.Source,
    Target: target,
    ReadOnly: isReadOnly,
    // Missing folders are never made, and nothing of the image is copied into a volume.
    ...(isVolume ? { VolumeOptions: { NoCopy: true, Labels: {}, DriverConfig: { Name: '', Options: {} } } } : {}),
  }
}
