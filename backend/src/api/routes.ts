import type { Route } from './route.js'
import { consoleRoutes } from './routes/consoles.js'
import { imageRoutes } from './routes/images.js'
import { nodeRoutes } from './routes/nodes.js'
import { operationRoutes } from './routes/operations.js'
import { sessionRoutes } from './routes/session.js'
import { systemRoutes } from './routes/system.js'
import { userRoutes } from './routes/users.js'

/** The whole API. What is not here is not served under `/api`, but for the uploads' own protocol. */
export function allRoutes(): Route[] {
  return [
    ...sessionRoutes,
    ...userRoutes,
    ...nodeRoutes,
    ...consoleRoutes,
    ...imageRoutes,
    ...operationRoutes,
    ...systemRoutes,
  ]
}
