import type { Bus } from '../events/bus.js'
import type { Image } from '../domain/image.js'
import type { Layout } from '../domain/layout.js'
import type { Operation } from '../domain/operation.js'
import type { Store } from '../state/store.js'
import type { Logger } from '../system/log.js'
import type { Transactions } from '../transactions/transactions.js'
import type { ImageLimits } from './image-limits.js'

/** What every verb of this room needs. */
export interface ImagesContext {
  layout: Layout
  store: Store
  transactions: Transactions
  bus: Bus
  log: Logger
  now: () => Date
  /** Default: DEFAULT_LIMITS. */
  limits?: ImageLimits
}

/** Who asks; `request` when it came with an Idempotency-Key. */
export interface ImageActor {
  id: string | null
  login: string
  request?: Operation['request']
}

/** A long work that has begun. `result` never causes an unhandled rejection. */
export interface StartedImage {
  operation: Operation
  result: Promise<Image>
}
