import { isSandlabError, type SandlabError } from '../domain/error.js'

/** What `look` finds, or why it refuses; for plans, which show both. */
export async function refusalIn<T>(
  look: () => Promise<T>,
): Promise<{ value: T; refusal: null } | { value: null; refusal: SandlabError }> {
  try {
    return { value: await look(), refusal: null }
  } catch (error) {
    if (!isSandlabError(error)) throw error
    return { value: null, refusal: error }
  }
}
