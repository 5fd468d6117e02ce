import { z } from 'zod'
import { imageIdSchema } from './ids.js'

/** A kernel that QEMU loads itself; for images without a boot loader. File names are relative to `images/`. */
export const directBootSchema = z.strictObject({
  kernel: z.string(),
  initrd: z.string().nullable(),
  commandLine: z.string(),
})
export type DirectBoot = z.infer<typeof directBootSchema>

/** What a file was when it became a base image; any difference means that overlays over it read wrong data. */
export const fingerprintSchema = z.strictObject({
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** Size of the file in bytes. */
  sizeBytes: z.int().nonnegative(),
  /** Modification time in milliseconds since 1970, whole. */
  mtimeMs: z.number(),
})
export type Fingerprint = z.infer<typeof fingerprintSchema>

export const FIRMWARES = ['bios', 'uefi'] as const

/** A base image: read-only, checked, never changed in place. */
export const imageSchema = z
  .object({
    id: imageIdSchema,
    /** File name in `images/`: `<id>.qcow2`, mode 0444. */
    file: z.string(),
    title: z.string().max(120),
    description: z.string().max(2000),
    origin: z.enum(['built', 'pulled', 'uploaded', 'imported']),
    /** The version of the catalogue's or recipe's entry, or the date of the import. */
    version: z.string().max(60),
    virtualSizeBytes: z.int().positive(),
    fingerprint: fingerprintSchema,
    /** Of an image that came from another SandLabX: its checksum there. Here it was converted anew. */
    sourceSha256: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .optional(),
    /** sha256 of each direct-boot file, by file name. */
    bootFiles: z.record(z.string(), z.string()),
    firmware: z.enum(FIRMWARES),
    directBoot: directBootSchema.nullable(),
    /** Understands a NoCloud seed (host name, user, password, SSH keys, growing the root file system). */
    cloudInit: z.boolean(),
    /** Has qemu-guest-agent in it: its nodes get a port for it unless told. Absent: not known. */
    guestAgent: z.boolean().optional(),
    /** Runs an SSH server. Absent: not known. */
    sshServer: z.boolean().optional(),
    /** How one signs in, as a sentence for people. */
    loginNotes: z.string().max(500),
    minimumMemoryMib: z.int().positive(),
    createdAt: z.iso.datetime(),
  })
  .meta({ id: 'Image' })
export type Image = z.infer<typeof imageSchema>

/** Why SandLabX can't sign in to guests made from this image; null when it can. */
export function sshRefusalOf(image: Pick<Image, 'cloudInit' | 'sshServer'> | undefined): string | null {
  if (!image) return 'Its base image is not there, so nobody knows how to sign in.'
  if (image.sshServer === false) return 'Its image has no SSH server. Use its serial line or its screen.'
  if (image.cloudInit) return null
  return 'Its image takes no keys from SandLabX, because it does not use cloud-init. Use its serial line or its screen.'
}

/** What the API adds to an image. */
export const imageViewSchema = imageSchema
  .extend({ usedBy: z.array(z.object({ id: z.string(), name: z.string() })) })
  .meta({ id: 'ImageView' })
export type ImageView = z.infer<typeof imageViewSchema>

/** A public cloud image that `image pull` can fetch; the rows of `images/catalog.json`. */
export const catalogEntrySchema = z
  .strictObject({
    id: imageIdSchema,
    title: z.string(),
    description: z.string(),
    version: z.string(),
    url: z.url(),
    checksum: z.strictObject({
      algorithm: z.enum(['sha256', 'sha512']),
      /** Lower-case hex; null when the publisher only offers a checksum file, then `url` of that file is given. */
      value: z.string().nullable(),
      url: z.url().nullable(),
    }),
    /** Of the download; for progress and free space before the server has told it. */
    sizeBytes: z.int().positive().describe('Size of the download in bytes; may be approximate'),
    compression: z.enum(['none', 'gzip', 'xz']).default('none'),
    firmware: z.enum(FIRMWARES),
    cloudInit: z.boolean(),
    loginNotes: z.string(),
    minimumMemoryMib: z.int().positive(),
  })
  .meta({ id: 'CatalogEntry' })
export type CatalogEntry = z.infer<typeof catalogEntrySchema>

/** A starter image that this machine can build from Debian packages. */
export const recipeSchema = z
  .object({ id: imageIdSchema, title: z.string(), description: z.string(), buildSeconds: z.number() })
  .meta({ id: 'Recipe' })
export type Recipe = z.infer<typeof recipeSchema>
