import { z } from 'zod'
import { auditEntrySchema, nodeEventSchema } from '../domain/event.js'
import { catalogEntrySchema, imageViewSchema, recipeSchema } from '../domain/image.js'
import { guestPasswordEntrySchema, nodeViewSchema } from '../domain/node.js'
import { operationSchema } from '../domain/operation.js'
import { operationPlanSchema } from '../domain/plan.js'
import { userSchema } from '../domain/user.js'

/** The bodies that the server answers with, by what is in them. */
export const nodesAnswer = z.object({ nodes: z.array(nodeViewSchema) })
export const nodeAnswer = z.object({ node: nodeViewSchema })
/** `guestPassword`: generated for the guest's account and shown this once; null when none was. */
export const newNodeAnswer = nodeAnswer.extend({
  guestPassword: z.string().nullable().default(null),
  /** Why it was made and could not be started. */
  startError: z.object({ code: z.string(), message: z.string(), hint: z.string().optional() }).nullable().default(null),
})
export const eventsAnswer = z.object({ events: z.array(nodeEventSchema) })
export const imagesAnswer = z.object({
  images: z.array(imageViewSchema),
  recipes: z.array(recipeSchema),
  catalog: z.array(catalogEntrySchema),
})
export type ImagesAnswer = z.infer<typeof imagesAnswer>

export const planAnswer = z.object({ plan: operationPlanSchema })
export const passwordsAnswer = z.object({ passwords: z.array(guestPasswordEntrySchema) })
export const operationAnswer = z.object({ operation: operationSchema })
export const operationsAnswer = z.object({ operations: z.array(operationSchema) })

export const userAnswer = z.object({ user: userSchema })
export const usersAnswer = z.object({ users: z.array(userSchema) })
/** `password`: generated, shown once; null when one was given. */
export const newUserAnswer = z.object({ user: userSchema, password: z.string().nullable() })

const tokenRecordSchema = z.object({
  id: z.string(),
  name: z.string(),
  createdAt: z.string(),
  lastUsedAt: z.string().nullable(),
})
export const tokensAnswer = z.object({ tokens: z.array(tokenRecordSchema) })
export const newTokenAnswer = z.object({ token: z.string(), record: tokenRecordSchema })

export const auditAnswer = z.object({ entries: z.array(auditEntrySchema), next: z.string().nullable() })

export const errorBodySchema = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    hint: z.string().optional(),
    details: z.record(z.string(), z.unknown()).optional(),
    requestId: z.string().optional(),
  }),
})

export const rebuildAnswer = z.object({
  nodes: z.int(),
  images: z.int(),
  ownerless: z.array(z.object({ login: z.string().nullable(), nodes: z.int() })).default([]),
})
