import { SandlabError } from '../domain/error.js'
import type { Operation } from '../domain/operation.js'
import { imagesAnswer, operationAnswer } from './answers.js'
import type { Client } from './client.js'
import { followOperation } from './follow-operation.js'
import type { Io } from './io.js'

/** The first is done in seconds, so that a node can be made at once; the second is what people want. */
export const STARTER_RECIPES = ['tiny', 'debian-12'] as const

/** What `up` should build: nothing where there is any image already, whoever made it. */
export async function wantedStarters(client: Client): Promise<string[]> {
  const { images, recipes } = await client.get('/api/images', imagesAnswer)
  if (images.length > 0) return []
  const known = new Set<string>(recipes.map((recipe) => recipe.id))
  return STARTER_RECIPES.filter((id) => known.has(id))
}

/** Begins a build, or finds the one that is under way. */
export async function beginBuild(client: Client, recipe: string): Promise<Operation> {
  try {
    return (await client.send('POST', '/api/images/build', { recipe }, operationAnswer)).operation
  } catch (error) {
    const id = error instanceof SandlabError && error.code === 'busy' ? error.details?.['operationId'] : undefined
    if (typeof id !== 'string') throw error
    return (await client.get(`/api/operations/${id}`, operationAnswer)).operation
  }
}

/**
 * Builds one and shows how. SandLabX is of use without it, so a failure is told and not thrown; only Ctrl-C
 * (`cancelled`) is. True when the image is there.
 */
export async function buildStarter(io: Io, client: Client, recipe: string): Promise<boolean> {
  try {
    await followOperation(io, client, await beginBuild(client, recipe))
    return true
  } catch (error) {
    if (!(error instanceof SandlabError) || error.code === 'cancelled') throw error
    const hint = error.hint === undefined ? '' : ` · ${error.hint}`
    io.stderr.write(`The starter image ${recipe} could not be built: ${error.message}${hint}\n`)
    io.stderr.write(`Try again with "sandlabx image build ${recipe}".\n`)
    return false
  }
}
