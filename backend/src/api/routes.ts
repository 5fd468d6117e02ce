import { z } from 'zod'
import { openApiDocument } from './openapi.js'
import { route, type Route } from './route.js'
import { batchRoutes } from './routes/batch.js'
import { cloneRoutes } from './routes/clone.js'
import { consoleHistoryRoutes } from './routes/console-history.js'
import { consoleRoutes } from './routes/consoles.js'
import { driveRoutes } from './routes/drives.js'
import { imageRoutes } from './routes/images.js'
import { nodeRoutes } from './routes/nodes.js'
import { operationRoutes } from './routes/operations.js'
import { orphanRoutes } from './routes/orphans.js'
import { recordingRoutes } from './routes/recordings.js'
import { resetRoutes } from './routes/reset.js'
import { sessionRoutes } from './routes/session.js'
import { settingsRoutes } from './routes/settings.js'
import { snapshotRoutes } from './routes/snapshots.js'
import { storageRoutes } from './routes/storage.js'
import { systemRoutes } from './routes/system.js'
import { testBootRoutes } from './routes/test-boots.js'
import { transferRoutes } from './routes/transfers.js'
import { trashRoutes } from './routes/trash.js'
import { userRoutes } from './routes/users.js'

const openApiRoute = route({
  method: 'get',
  path: '/api/openapi.json',
  tag: 'System',
  summary: 'This API as OpenAPI 3.1',
  access: 'public',
  answer: { status: 200, schema: z.looseObject({ openapi: z.string() }) },
  beforeReady: true,
  beforePasswordChange: true,
  handle: async ({ services }) => openApiDocument(services.version, allRoutes()),
})

/** The whole API. What is not here is not served under `/api`, but for the uploads' own protocol. */
export function allRoutes(): Route[] {
  return [
    ...sessionRoutes,
    ...userRoutes,
    ...nodeRoutes,
    ...driveRoutes,
    ...batchRoutes,
    ...cloneRoutes,
    ...consoleRoutes,
    ...consoleHistoryRoutes,
    ...recordingRoutes,
    ...imageRoutes,
    ...transferRoutes,
    ...operationRoutes,
    ...trashRoutes,
    ...resetRoutes,
    ...settingsRoutes,
    ...orphanRoutes,
    ...snapshotRoutes,
    ...storageRoutes,
    ...testBootRoutes,
    ...systemRoutes,
    openApiRoute,
  ]
}
