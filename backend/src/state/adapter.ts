import type { Adapter } from 'lowdb'
import type { Layout } from '../domain/layout.js'
import { createEncoder, type Snapshot } from './envelope.js'
import { loadStateFiles, writeStateFile, type Loaded } from './state-files.js'

/**
 * lowdb's port to our files. Its own adapters do no fsync, write through a fixed temporary name and take a missing or
 * `null` file for an empty state: 39 of 40 simulated power cuts lost acknowledged writes with them.
 */
export interface StateAdapter extends Adapter<Snapshot> {
  /** How the last read went; undefined before it. */
  loaded(): Loaded | undefined
}

/** The caller holds the state's lock. `read` and `write` reject as `loadStateFiles` and `writeStateFile` say. */
export function createStateAdapter(layout: Layout): StateAdapter {
  const encode = createEncoder()
  let loaded: Loaded | undefined
  return {
    async read() {
      loaded = await loadStateFiles(layout)
      return loaded.snapshot
    },
    write: (snapshot) => writeStateFile(layout, snapshot, encode),
    loaded: () => loaded,
  }
}
