import { z } from 'zod'
import { userIdSchema } from './ids.js'

export const ROLES = ['student', 'instructor', 'administrator'] as const
export const roleSchema = z.enum(ROLES)
export type Role = z.infer<typeof roleSchema>

/** Login names: what people type, and part of the guest's user name. */
export const loginSchema = z
  .string()
  .regex(/^[a-z][a-z0-9._-]{0,31}$/, 'starts with a letter; lower-case letters, digits, dots, dashes; at most 32')

/** NIST SP 800-63B: length is what counts; no composition rules. */
export const passwordSchema = z.string().min(10, 'at least 10 characters').max(200)

export const userSchema = z
  .object({
    id: userIdSchema,
    login: loginSchema,
    displayName: z.string().max(80),
    role: roleSchema,
    disabled: z.boolean(),
    mustChangePassword: z.boolean(),
    createdAt: z.iso.datetime(),
    lastSignInAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'User' })
export type User = z.infer<typeof userSchema>

export const createUserSchema = z
  .strictObject({
    login: loginSchema,
    displayName: z.string().trim().max(80).default(''),
    role: roleSchema.default('student'),
    /** Absent: one is generated and returned once. */
    password: passwordSchema.optional(),
  })
  .meta({ id: 'CreateUser' })
export type CreateUser = z.infer<typeof createUserSchema>

export const updateUserSchema = z
  .strictObject({
    displayName: z.string().trim().max(80).optional(),
    role: roleSchema.optional(),
    disabled: z.boolean().optional(),
  })
  .meta({ id: 'UpdateUser' })
export type UpdateUser = z.infer<typeof updateUserSchema>

/** Who is asking: read from a session cookie or an API token at the edge, trusted inside. */
export interface Subject {
  userId: User['id']
  login: string
  role: Role
  /** The session or token that authenticated this request; consoles are closed when it is revoked. */
  credentialId: string
  kind: 'session' | 'token'
  mustChangePassword: boolean
}
