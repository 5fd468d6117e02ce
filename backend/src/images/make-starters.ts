import { layoutOf } from '../domain/layout.js'
import { createBus } from '../events/bus.js'
import { openStore } from '../state/store.js'
import { openDataFolders } from '../system/data-folders.js'
import { createLog } from '../system/log.js'
import { createOperations } from '../transactions/operations.js'
import { createTransactions } from '../transactions/transactions.js'
import { buildImage } from './build.js'

/**
 * A program of its own, for the making of a container image: `node make-starters.js FOLDER RECIPE…` builds starter images
 * as a backend does and leaves them in FOLDER/images, files and records. A new installation takes them up from there.
 */
const [folder, ...recipes] = process.argv.slice(2)
if (folder === undefined || recipes.length === 0) throw new Error('make-starters.js FOLDER RECIPE…')

const layout = layoutOf(folder)
const log = createLog('info')
await openDataFolders(layout, [])
const { store } = await openStore({ layout, log })
const bus = createBus()
const operations = createOperations({ store, bus, log })
const transactions = await createTransactions({ layout, store, operations, log })
const context = { layout, store, transactions, bus, log, now: () => new Date() }
try {
  for (const recipe of recipes) {
    const { result } = await buildImage(context, recipe, { id: null, login: 'build' })
    const { id, virtualSizeBytes, fingerprint } = await result
    log.info({ id, virtualSizeBytes, sizeBytes: fingerprint.sizeBytes }, 'built')
  }
} finally {
  await operations.close()
  await store.close()
}
