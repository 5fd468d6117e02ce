import { imageIdSchema } from '@domain/ids.js'
import type { ImageAbout } from '../../api/images.js'
import { problemsOf } from '../../util/validate.js'

export const NEW_IMAGE: ImageAbout = {
  id: '',
  title: '',
  firmware: 'bios',
  cloudInit: false,
  loginNotes: '',
  minimumMemoryMib: 512,
}

/** `Debian 12 Lab.qcow2` → title `Debian 12 Lab`, id `debian-12-lab`. */
export function aboutFromFileName(fileName: string): Pick<ImageAbout, 'id' | 'title'> {
  const title = fileName.replace(/\.(qcow2|img|raw)$/i, '').slice(0, 120)
  const id = title
    .toLowerCase()
    .replaceAll(/[^a-z0-9._-]+/g, '-')
    .replaceAll(/^[^a-z0-9]+|[^a-z0-9]+$/g, '')
    .slice(0, 63)
  return { id, title }
}

export function problemsWithImage(about: ImageAbout): Record<string, string> {
  const id = problemsOf(imageIdSchema, about.id)['']
  return {
    ...(id === undefined ? {} : { id: about.id === '' ? 'It needs an id' : id }),
    ...(about.title.trim() === '' ? { title: 'It needs a title' } : {}),
    ...(about.minimumMemoryMib < 64 ? { minimumMemoryMib: 'At least 64 MiB' } : {}),
  }
}
