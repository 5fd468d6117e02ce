import { cp } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

/** A build of the images looks for its recipes beside its compiled self; the compiler takes no such files along. */
export async function layRecipes(): Promise<void> {
  const sources = fileURLToPath(new URL('../../src/images/recipes', import.meta.url))
  await cp(sources, fileURLToPath(new URL('../src/images/recipes', import.meta.url)), { recursive: true })
}
