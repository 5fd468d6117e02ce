import { basename, resolve } from 'node:path'
import type { Command } from 'commander'
import { z } from 'zod'
import { SandlabError } from '../domain/error.js'
import type { ImageView } from '../domain/image.js'
import { formatBytes, formatDuration } from '../domain/units.js'
import { imagesAnswer, operationAnswer } from './answers.js'
import type { Client } from './client.js'
import { followOperation, shortId } from './follow-operation.js'
import type { Io } from './io.js'
import { memoryMib } from './option-values.js'
import { noOptions, verb, type Run } from './run.js'
import { dryRun } from './plan-view.js'
import { uploadFile } from './upload.js'

/** image ls, catalog, build, pull, import, rm. */
export function addImageCommands(program: Command, io: Io): void {
  const image = program.command('image').description('base images')
  image
    .command('ls')
    .alias('list')
    .description('list the base images')
    .action(verb(io, noOptions, list))
  image
    .command('catalog')
    .description('list what can be built here and what can be pulled')
    .action(verb(io, noOptions, catalog))
  image
    .command('build <recipe>')
    .description('build a starter image from Debian packages')
    .option('--dry-run', 'show what would be done, and do nothing')
    .option('--no-wait', 'do not wait until it is done')
    .action(verb(io, workSchema, (run, how, recipe: string) => begin(run, '/api/images/build', { recipe }, how)))
  image
    .command('pull <name>')
    .description('download a public cloud image of the catalogue')
    .option('--dry-run', 'show what would be done, and do nothing')
    .option('--no-wait', 'do not wait until it is done')
    .action(verb(io, workSchema, (run, how, id: string) => begin(run, '/api/images/pull', { id }, how)))
  image
    .command('import <file>')
    .description('make a qcow2 or raw file a base image')
    .option('--name <id>', "the image's id; from the file's name unless told")
    .option('--title <text>', 'for people')
    .option('--description <text>', 'for people')
    .option('--firmware <kind>', 'bios (unless told) or uefi')
    .option('--cloud-init', 'it takes host name, account and keys from a NoCloud seed')
    .option('--login-notes <text>', 'how one signs in')
    .option('--memory <size>', 'the least memory that it needs, like 512M', memoryMib)
    .option('--upload', 'send the file even when the server could read it here')
    .option('--dry-run', 'show what would be done, and do nothing')
    .option('--no-wait', 'do not wait until it is done')
    .action(verb(io, importSchema, importFile))
  image
    .command('rm <id>')
    .alias('delete')
    .description('delete a base image that no node uses')
    .option('--dry-run', 'show what would be done, and do nothing')
    .action(verb(io, workSchema, remove))
}

async function list(run: Run): Promise<void> {
  const answer = await (await run.client()).get('/api/images', imagesAnswer)
  const rows = answer.images.map((image: ImageView) => [
    image.id,
    image.title,
    image.version,
    formatBytes(image.virtualSizeBytes),
    formatBytes(image.fingerprint.sizeBytes),
    image.firmware,
    image.origin,
    String(image.usedBy.length),
  ])
  run.output.table(['ID', 'TITLE', 'VERSION', 'DISK', 'FILE', 'FIRMWARE', 'ORIGIN', 'NODES'], rows, {
    images: answer.images,
  })
}

async function catalog(run: Run): Promise<void> {
  const { images, recipes, catalog: entries } = await (await run.client()).get('/api/images', imagesAnswer)
  const here = new Set<string>(images.map((image) => image.id))
  const state = (id: string) => (here.has(id) ? 'here' : '')
  const rows = [
    ...recipes.map((recipe) => [
      recipe.id,
      recipe.title,
      'build',
      `about ${formatDuration(recipe.buildSeconds * 1000)}`,
      state(recipe.id),
    ]),
    ...entries.map((entry) => [entry.id, entry.title, 'pull', formatBytes(entry.sizeBytes), state(entry.id)]),
  ]
  run.output.table(['ID', 'TITLE', 'HOW', 'COSTS', 'STATE'], rows, { recipes, catalog: entries })
}

const workFields = { wait: z.boolean().default(true), dryRun: z.boolean().default(false) }
const workSchema = z.object(workFields)
type How = z.infer<typeof workSchema>

/** Starts long work of the server and follows it. */
async function begin(run: Run, path: string, body: unknown, how: How): Promise<void> {
  if (how.dryRun) await dryRun(run, 'POST', path, body)
  else await finish(run, await run.client(), path, body, how)
}

async function finish(run: Run, client: Client, path: string, body: unknown, { wait }: How): Promise<void> {
  const { operation: started } = await client.send('POST', path, body, operationAnswer)
  const operation = wait ? await followOperation(run.io, client, started) : started
  if (run.output.json) run.output.done('', { operation })
  else if (!wait)
    run.output.done(`Started: ${operation.title}. Look with "sandlabx operations show ${shortId(operation.id)}".`, {})
}

const importSchema = z.object({
  name: z.string().optional(),
  title: z.string().optional(),
  description: z.string().optional(),
  firmware: z.string().optional(),
  cloudInit: z.boolean().optional(),
  loginNotes: z.string().optional(),
  memory: z.number().optional(),
  upload: z.boolean().default(false),
  ...workFields,
})

async function importFile(run: Run, options: z.infer<typeof importSchema>, file: string): Promise<void> {
  const id = options.name ?? idFromFile(file)
  const about = {
    id,
    title: options.title,
    description: options.description,
    firmware: options.firmware,
    cloudInit: options.cloudInit,
    loginNotes: options.loginNotes,
    minimumMemoryMib: options.memory,
  }
  const client = await run.client()
  // Only as this machine's administrator may we name a path: the server then reads the file where it lies.
  if (client.target.from === 'local' && !options.upload) {
    await begin(run, '/api/images/import', { ...about, path: resolve(file) }, options)
    return
  }
  if (options.dryRun) {
    throw new SandlabError('bad_request', 'The server can plan an import only of a file that it can read itself.', {
      hint: 'Leave --dry-run out: the file is sent first, and looked at before it becomes an image.',
    })
  }
  const uploadId = await uploadFile(run.io, client, file)
  await finish(run, client, '/api/images/import-upload', { ...about, uploadId }, options)
}

/** `Debian 12 (generic).qcow2` → `debian-12-generic`. */
export function idFromFile(file: string): string {
  const stem = basename(file).replace(/\.(qcow2|img|raw)$/i, '')
  const id = stem.toLowerCase().replaceAll(/[^a-z0-9._-]+/g, '-')
  const trimmed = id
    .replace(/^[^a-z0-9]+/, '')
    .slice(0, 63)
    .replace(/-+$/, '')
  if (trimmed) return trimmed
  throw new SandlabError('bad_request', `No image id can be made from the name of ${file}.`, { hint: 'Give --name.' })
}

async function remove(run: Run, options: How, id: string): Promise<void> {
  const path = `/api/images/${encodeURIComponent(id)}`
  if (options.dryRun) {
    await dryRun(run, 'DELETE', path)
    return
  }
  await (await run.client()).sendForNothing('DELETE', path)
  run.output.done(`The image ${id} is deleted.`, { deleted: { id } })
}
