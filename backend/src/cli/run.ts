import { resolve } from 'node:path'
import type { Command } from 'commander'
import { z } from 'zod'
import { createClient, type Client } from './client.js'
import { findTarget } from './credentials.js'
import type { Io } from './io.js'
import { createOutput, type Output } from './output.js'

/** What a verb works with. */
export interface Run {
  io: Io
  output: Output
  /** Of this command line. */
  version: string
  /** The data folder of `--data`, else of this clone. */
  dataDir: string
  /** Finds the backend and who we are at the first call; verbs that need neither never fail on it. */
  client(): Promise<Client>
}

const globalOptionsSchema = z.object({
  json: z.boolean().default(false),
  url: z.string().optional(),
  data: z.string().optional(),
  idempotencyKey: z
    .string()
    .regex(/^[\x21-\x7e]{1,190}$/, 'An idempotency key is 1 to 190 visible ASCII characters.')
    .optional(),
})

/**
 * Makes a commander action of a verb. `optionsSchema` types the verb's own options, which commander has read; the
 * positional arguments come as commander gives them (a string, or an array for `name...`).
 */
export function verb<O>(
  io: Io,
  optionsSchema: z.ZodType<O>,
  work: (run: Run, options: O, ...positional: never[]) => Promise<void>,
): (...args: unknown[]) => Promise<void> {
  return async (...args) => {
    const command = args.at(-1) as Command // commander calls with (...positional, options, command)
    const options = command.optsWithGlobals()
    const { json, url, data, idempotencyKey } = globalOptionsSchema.parse(options)
    const dataDir = data === undefined ? io.homeDir : resolve(data)
    const run: Run = {
      io,
      version: rootOf(command).version() ?? '',
      output: createOutput(io, json),
      dataDir,
      async client() {
        const target = await findTarget(io, { url, data: data === undefined ? undefined : dataDir })
        return createClient(target, { idempotencyKey, tell: (text) => void io.stderr.write(`${text}\n`) })
      },
    }
    await work(run, optionsSchema.parse(options), ...(args.slice(0, -2) as never[]))
  }
}

export const noOptions = z.object({})

function rootOf(command: Command): Command {
  return command.parent ? rootOf(command.parent) : command
}
