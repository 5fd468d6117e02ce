import type { Express } from 'express'
import { authorize } from '../domain/authorize.js'
import { SandlabError } from '../domain/error.js'
import { refuseCrossSite, subjectOf } from './auth.js'
import { labOf, type Services } from './services.js'

/** Resumable uploads speak the tus 1.0 protocol, which is not JSON: the one part of the API beside the table. */
export function mountUploads(app: Express, services: Services): void {
  app.all('/api/uploads{/*rest}', async (request, response) => {
    const { uploads } = labOf(services)
    const subject = await subjectOf(services, request)
    if (!subject) throw new SandlabError('not_signed_in', 'You are not signed in.', { hint: 'Sign in first.' })
    refuseCrossSite(services, request, subject)
    if (subject.mustChangePassword || !authorize(subject, 'image.manage')) {
      throw new SandlabError('not_allowed', `Your role (${subject.role}) may not upload images.`, {
        hint: 'Ask an instructor.',
      })
    }
    await uploads.handle(request, response)
  })
}
