import { z } from 'zod'
import { orphanSchema } from '../../domain/storage.js'
import { route } from '../route.js'
import { labOf } from '../services.js'

export const orphanRoutes = [
  route({
    method: 'get',
    path: '/api/storage/orphans',
    tag: 'Storage',
    summary: 'Disk files that no record names and nothing in use stands on; nothing is ever deleted by itself',
    access: 'storage.read',
    answer: { status: 200, schema: z.object({ orphans: z.array(orphanSchema), totalBytes: z.number() }) },
    handle: async ({ services }) => labOf(services).disks.orphans.list(),
  }),
]
