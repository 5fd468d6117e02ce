import type { Image, Recipe } from '../domain/image.js'
export const RECIPES: Recipe[] = []
export async function buildImage(_request: object): Promise<Image> {
  throw new Error('being written')
}
