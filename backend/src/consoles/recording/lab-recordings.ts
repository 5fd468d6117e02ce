import type { Layout } from '../../domain/layout.js'
import type { Disks } from '../../disks/disks.js'
import type { Store } from '../../state/store.js'
import type { Logger } from '../../system/log.js'
import { createRecordings, type Recordings } from './recordings.js'

export interface LabRecordingsDependencies {
  layout: Layout
  log: Logger
  store: Store
  disks: Pick<Disks, 'settings' | 'schedule'>
}

const DAY_MS = 24 * 3600 * 1000

/** As nodes and the lab's settings say; each hour what is too old goes. */
export async function createLabRecordings(dependencies: LabRecordingsDependencies): Promise<Recordings> {
  const { layout, log, store, disks } = dependencies
  const recordings = await createRecordings({
    layout,
    log,
    nodeOf: (nodeId) => store.data.nodes.find(({ id }) => id === nodeId),
    byDefault: () => disks.settings.get().recordConsoles,
    now: () => new Date(),
  })
  disks.schedule.every('recordings', { minutes: 60 }, async () => {
    const { recordingDays } = disks.settings.get()
    const gone = await recordings.purge(recordingDays === null ? null : new Date(Date.now() - recordingDays * DAY_MS))
    if (gone > 0) log.info({ gone }, 'old recordings were removed')
  })
  return recordings
}
