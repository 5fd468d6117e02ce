/**
 * Names every file that SandLabX keeps. Pure: no file is touched here.
 *
 * `dataDir` holds `images/ overlays/ state/ run/`. In Compose the four lie elsewhere and are given one by one.
 */
export interface Layout {
  readonly images: string
  readonly overlays: string
  readonly state: string
  readonly run: string
  readonly stateFile: string
}

export function layoutOf(dataDir: string, parts: Partial<Layout> = {}): Layout {
  const state = parts.state ?? `${dataDir}/state`
  return {
    images: parts.images ?? `${dataDir}/images`,
    overlays: parts.overlays ?? `${dataDir}/overlays`,
    state,
    run: parts.run ?? `${dataDir}/run`,
    stateFile: parts.stateFile ?? `${state}/nodes-state.json`,
  }
}

// state/
export const stateLockFile = (l: Layout) => `${l.state}/lock`
export const previousStateFile = (l: Layout) => `${l.stateFile}.prev`
export const journalDir = (l: Layout) => `${l.state}/journal`
export const postgresDir = (l: Layout) => `${l.state}/postgres`
/** Password of the managed PostgreSQL, mode 0600; made with the server, found again by the next backend. */
export const postgresPasswordFile = (l: Layout) => `${l.state}/postgres-password`
export const postgresLogFile = (l: Layout) => `${l.state}/postgres.log`
/** Audit entries, one JSON object a line, that wait for the database to come back. */
export const auditSpoolFile = (l: Layout) => `${l.state}/audit-spool.jsonl`
/** Consoles that were opened or closed, one JSON object a line, that wait for the database to come back. */
export const consoleHistorySpoolFile = (l: Layout) => `${l.state}/console-history-spool.jsonl`
/** Changed every few seconds: until when this backend, or the one before, was certainly alive. */
export const aliveFile = (l: Layout) => `${l.state}/alive`
/** 32 random bytes, mode 0600; made at the first start. */
export const secretFile = (l: Layout) => `${l.state}/secret`
/** The private key by which SSH consoles sign in to guests, mode 0600; made at the first start. */
export const sshKeyFile = (l: Layout) => `${l.state}/ssh-key`
/** By which key each guest's SSH server was known last. May be deleted: each is then met for the first time. */
export const sshHostKeysFile = (l: Layout) => `${l.state}/ssh-host-keys.json`
/** Written once, mode 0600, removed when the first administrator has chosen a password. */
export const firstLoginFile = (l: Layout) => `${l.state}/first-login`

/** What a verification found, by its operation. May be deleted at any time. */
export const reportsDir = (l: Layout) => `${l.state}/reports`
export const reportFile = (l: Layout, operationId: string) => `${reportsDir(l)}/${operationId}.json`

/** What consoles have shown, where that was asked for: a record of each, and beside it the text or the pictures. */
export const recordingsDir = (l: Layout) => `${l.state}/recordings`
export const recordingRecordFile = (l: Layout, recordingId: string) => `${recordingsDir(l)}/${recordingId}.json`
export const recordingDataFile = (l: Layout, recordingId: string, format: 'cast' | 'guac') =>
  `${recordingsDir(l)}/${recordingId}.${format}`

/** The last picture of a node's screen. May be deleted at any time. */
export const lastScreenFile = (l: Layout, nodeId: string) => `${l.state}/screens/${nodeId}.png`

// overlays/
export const overlayFileName = (nodeId: string) => `node_${nodeId}.qcow2`
export const overlayFile = (l: Layout, nodeId: string) => `${l.overlays}/${overlayFileName(nodeId)}`
/** The node's full record, so that the folder alone is a complete backup. */
export const sidecarFile = (l: Layout, nodeId: string) => `${l.overlays}/node_${nodeId}.json`
/** Whose the owners' ids in the sidecars are, should the accounts be lost. */
export const ownersFile = (l: Layout) => `${l.overlays}/owners.json`
/** UEFI variables of one node. */
export const uefiVariablesFile = (l: Layout, nodeId: string) => `${l.overlays}/node_${nodeId}.efivars.fd`
export const layerFileName = (layerId: string) => `layer_${layerId}.qcow2`
export const layerFile = (l: Layout, layerId: string) => `${l.overlays}/${layerFileName(layerId)}`
/** The layer's record, as a node's sidecar. */
export const layerSidecarFile = (l: Layout, layerId: string) => `${l.overlays}/layer_${layerId}.json`
/** A further drive of a node. */
export const driveFileName = (driveUuid: string) => `drive_${driveUuid}.qcow2`
export const driveFile = (l: Layout, driveUuid: string) => `${l.overlays}/${driveFileName(driveUuid)}`
/** Beside a drive that no node has any more. */
export const driveSidecarFile = (l: Layout, driveUuid: string) => `${l.overlays}/drive_${driveUuid}.json`
/** A running guest's memory, with a snapshot of its disks. */
export const memoryFileName = (snapshotId: string) => `memory_${snapshotId}.bin`
export const memoryFile = (l: Layout, snapshotId: string) => `${l.overlays}/${memoryFileName(snapshotId)}`
/** A suspended node's memory; the id is the suspend's own. */
export const suspendedFileName = (suspendId: string) => `suspended_${suspendId}.bin`
export const isSuspendedName = (name: string) => /^suspended_[0-9a-f-]{36}\.bin$/.test(name)
/** Of one operation: on the overlays' file system, so that a rename publishes what is finished. */
export const overlayStagingDir = (l: Layout) => `${l.overlays}/.staging`
/** While a running node's disk is frozen, its newest writes are here: never swept, taken back before its next start. */
export const liveLayersDir = (l: Layout) => `${l.overlays}/.live`
export const liveLayerFile = (l: Layout, nodeId: string) => `${liveLayersDir(l)}/live_${nodeId}.qcow2`
/** What test boots have found, and their screens. May be deleted at any time. */
export const testBootsDir = (l: Layout) => `${l.state}/test-boots`
export const testBootScreenFile = (l: Layout, operationId: string) => `${l.state}/test-boots/${operationId}.png`
export const trashDir = (l: Layout) => `${l.overlays}/.trash`
export const trashEntryFile = (l: Layout, entryId: string) => `${l.overlays}/.trash/${entryId}/entry.json`
/** Root disks of ephemeral nodes: never an orphan, swept at each start. */
export const ephemeralDir = (l: Layout) => `${l.overlays}/.ephemeral`
/** As a name in `overlays/`. */
export const ephemeralFileName = (nodeId: string) => `.ephemeral/${nodeId}.qcow2`
export const ephemeralFile = (l: Layout, nodeId: string) => `${l.overlays}/${ephemeralFileName(nodeId)}`
/** As the API and the records show it, the same in and out of a container. */
export const overlayApiPath = (overlayFileName: string) => `/overlays/${overlayFileName}`

// images/
export const imageFile = (l: Layout, file: string) => `${l.images}/${file}`
/** The image's record, so that a lost state file can be rebuilt; `.image.json` because an image may be named `catalog`. */
export const imageSidecarFile = (l: Layout, imageId: string) => `${l.images}/${imageId}.image.json`
export const catalogFile = (l: Layout) => `${l.images}/catalog.json`
export const imageStagingDir = (l: Layout) => `${l.images}/.staging`
/** Uploads and downloads wait here until the import room has looked at them. */
export const quarantineDir = (l: Layout) => `${l.images}/.quarantine`
/** Resumable uploads, and what another SandLabX has begun to send. */
export const uploadsDir = (l: Layout) => `${quarantineDir(l)}/uploads`
export const transfersDir = (l: Layout) => `${quarantineDir(l)}/transfers`
export const transferFile = (l: Layout, transferId: string) => `${transfersDir(l)}/${transferId}.json`

// run/: gone after a reboot. Socket paths stay under 100 bytes, so a node's folder is 12 digits of its id.
export const nodeRunDir = (l: Layout, nodeId: string) => `${l.run}/${nodeId.replaceAll('-', '').slice(0, 12)}`
export const qmpSocket = (runDir: string) => `${runDir}/qmp`
export const serialSocket = (runDir: string) => `${runDir}/serial`
/** Where QEMU passes on what we ask the guest's own agent; its answers are a stranger's. */
export const agentSocket = (runDir: string) => `${runDir}/agent`
export const vncSocket = (runDir: string) => `${runDir}/vnc`
/** Where a node's container has a way to its own loopback: `docker/node`. */
export const loopbackSocket = (runDir: string) => `${runDir}/loopback`
export const serialLog = (runDir: string) => `${runDir}/serial.log`
export const qemuLog = (runDir: string) => `${runDir}/qemu.log`
export const pidFile = (runDir: string) => `${runDir}/pid`
/** What was started: node id, generation, pid and its start time, accelerator, arguments. */
export const launchFile = (runDir: string) => `${runDir}/launch.json`
export const seedFile = (runDir: string) => `${runDir}/seed.iso`
/** The only sockets that guacd sees: in Compose the volume that both containers have at this path. */
export const guacdDoorsDir = (l: Layout) => `${l.run}/guacd`
/** `name` of 16 letters, so that the path is no longer than a node's. */
export const guacdDoor = (l: Layout, name: string) => `${guacdDoorsDir(l)}/${name}`
export const postgresSocketDir = (l: Layout) => `${l.run}/pg`
