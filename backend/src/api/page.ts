import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import express, { type Express, type RequestHandler } from 'express'
import helmet from 'helmet'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { seenBasePath } from './base-path.js'

type WithNonce = ServerResponse & { locals?: { nonce?: string } }

const nonceOf = (_request: IncomingMessage, response: WithNonce) => `'nonce-${response.locals?.nonce ?? ''}'`

/** No inline script, no inline style without this response's nonce, nothing from another host. */
export function contentSecurity(): RequestHandler[] {
  return [
    (_request, response, next) => {
      response.locals['nonce'] = randomBytes(16).toString('base64')
      next()
    },
    helmet({
      contentSecurityPolicy: {
        useDefaults: false,
        directives: {
          defaultSrc: ["'self'"],
          scriptSrc: ["'self'"],
          styleSrc: ["'self'", nonceOf],
          imgSrc: ["'self'", 'data:', 'blob:'],
          fontSrc: ["'self'"],
          connectSrc: ["'self'"],
          workerSrc: ["'self'", 'blob:'],
          objectSrc: ["'none'"],
          baseUri: ["'self'"],
          formAction: ["'self'"],
          frameAncestors: ["'none'"],
        },
      },
      strictTransportSecurity: false, // the reverse proxy that has the certificate decides
      crossOriginEmbedderPolicy: false,
      referrerPolicy: { policy: 'no-referrer' },
    }),
  ]
}

/** The built page: files with a hash in their name for ever, `index.html` with this response's nonce, never cached. */
export function mountPage(app: Express, folder: string, config: { trustProxy: boolean; basePath: string }): void {
  app.use(
    '/assets',
    express.static(`${folder}/assets`, { immutable: true, maxAge: '1y', index: false, fallthrough: false }),
  )
  app.use(express.static(folder, { index: false, maxAge: '1h' }))
  app.get('/{*path}', async (request, response, next) => {
    if (request.path.startsWith('/api/') || request.path === '/metrics' || isFile(request.path)) return next()
    const html = await readFile(`${folder}/index.html`, 'utf8')
    response.setHeader('Cache-Control', 'no-store')
    const filled = html
      .replaceAll('__CSP_NONCE__', String(response.locals['nonce']))
      .replaceAll('__BASE__', seenBasePath(request, config))
    response.type('html').send(filled)
  })
}

/** A missing script must be a 404, not the page. */
const isFile = (path: string) => /\.[a-z0-9]+$/i.test(path)

/** `/api/docs`: Swagger UI from its package, started by a file of ours, so that no script is inline. */
export function mountDocs(app: Express): void {
  const folder = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'))
  app.get('/api/docs', (_request, response) => {
    response
      .type('html')
      .send(
        [
          '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>SandLabX API</title>',
          '<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="docs/swagger-ui.css">',
          '</head><body><main id="docs"></main><script src="docs/swagger-ui-bundle.js"></script>',
          '<script src="docs/start.js"></script></body></html>',
        ].join(''),
      )
  })
  app.get('/api/docs/start.js', (_request, response) => {
    response.type('js').send("SwaggerUIBundle({ url: 'openapi.json', dom_id: '#docs', deepLinking: true })")
  })
  app.use('/api/docs', express.static(folder, { index: false, maxAge: '1d' }))
}
