import type { CatalogEntry, ImageView, Recipe } from '@domain/image.js'
import type { Operation } from '@domain/operation.js'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { request } from './client.js'
import { rememberOperation } from './operations.js'

export const imagesKey = ['images'] as const

export interface ImageShelf {
  images: ImageView[]
  recipes: Recipe[]
  catalog: CatalogEntry[]
}

/** What the person says about a file that becomes a base image. */
export interface ImageAbout {
  id: string
  title: string
  firmware: 'bios' | 'uefi'
  cloudInit: boolean
  loginNotes: string
  minimumMemoryMib: number
}

export function useImages(options: { enabled?: boolean } = {}) {
  return useQuery({
    queryKey: imagesKey,
    queryFn: ({ signal }) => request<ImageShelf>('GET', 'images', { signal }),
    enabled: options.enabled ?? true,
  })
}

function useStarted<T>(ask: (about: T) => Promise<{ operation: Operation }>) {
  const client = useQueryClient()
  return useMutation({ mutationFn: ask, onSuccess: ({ operation }) => rememberOperation(client, operation) })
}

export function useBuildImage() {
  return useStarted((recipe: string) => request('POST', 'images/build', { body: { recipe }, once: true }))
}

export function usePullImage() {
  return useStarted((id: string) => request('POST', 'images/pull', { body: { id }, once: true }))
}

/** `path` is a file on the server's own disk. */
export function useImportImage() {
  return useStarted((about: ImageAbout & { path: string }) =>
    request('POST', 'images/import', { body: about, once: true }),
  )
}

export function useImportUpload() {
  return useStarted((about: ImageAbout & { uploadId: string }) =>
    request('POST', 'images/import-upload', { body: about, once: true }),
  )
}

export function useDeleteImage() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (id: string) => request<void>('DELETE', `images/${encodeURIComponent(id)}`),
    onSuccess: () => client.invalidateQueries({ queryKey: imagesKey }),
  })
}
